"""Why a frame gave no field, in plain words with what to do: for the pages of both ends."""

_EXPLANATIONS = {
    # The quality gate beside the microscope.
    "too-dark": "Too dark. Turn up the lamp or the exposure.",
    "too-bright": "Too bright. Turn down the lamp or the exposure.",
    "no-cells": "Nearly empty. Move to where the cells are.",
    "no-stain": "Hardly any stain. Check the staining, or move on.",
    "too-thick": "Too thick: cells lie on each other. Move to the thin end of the smear.",
    "out-of-focus": "Out of focus. Focus and capture this place again.",
    "near-duplicate": "The same place as an earlier frame of this slide. Move on.",
    "repeated-picture": "The same picture as one captured before: its cells count there.",
    # Files that are no usable image.
    "empty": "The image file was empty. Capture it again.",
    "not-an-image": "The file is not an image. Check what is saved into the watched folder.",
    "unsupported-format": "An image format that Hemaline does not read. Save as JPEG, PNG or TIFF.",
    "too-many-bytes": "The image file is larger than allowed. Check the camera's output format.",
    "too-many-pixels": "The image has more pixels than allowed. Check the camera's resolution.",
    "truncated": "The image file ends too early: it was still being written or copied.",
    "undecodable": "The image file is damaged. Capture it again.",
    "unreadable": "The file could not be read. Check its permissions and who locks it.",
    "damaged-in-spool": "The device's disk lost or changed the images. Check that disk.",
    "larger-than-spool": "The frame is larger than the device's whole spool. Raise its quota.",
    "processing-failed": "The device could not process this picture. Report it.",
    # Messages that were refused.
    "not-cbor": "The message is not in Hemaline's format. Check what else publishes there.",
    "invalid-message": "The message breaks the format. Update the device's software.",
    "unknown-version": "The device speaks another version of the format. Update the older side.",
    "unknown-topic": "The message came on a topic that is not Hemaline's.",
    "device-mismatch": "A device sent a message in another's name. Check its configuration.",
    "impossible-time": "The capture time cannot be right. Set the device's clock.",
    "invalid-images": "The images in the message cannot be unpacked. Update the device's software.",
    "invalid-cells": "The cells do not fit their image. Update the device's software.",
    "wrong-size": "The images are not as large as announced: they changed on the way.",
    "wrong-hash": "The images are not the bytes that were announced: they changed on the way.",
    "wrong-field-size": "The field has another size than announced. Update the device's software.",
    "wrong-crop-size": "A cell's crop has the wrong size. Update the device's software.",
    "foreign-upload": "A device claimed an upload that is not its own.",
    "upload-missing": "The images were announced but never uploaded.",
}


def explain_frame(reason: str) -> str | None:
    """Return a reason in plain words with what to do; None: it is no reason of a frame."""
    return _EXPLANATIONS.get(reason)
