"""Every system by name: the classical ones of the literature, and what all must be better than."""

from hemaline_shared.errors import PermanentError
from hemaline_shared.pixels.leukocytes import finder_of_kind
from hemaline_train.classical import descriptions as by
from hemaline_train.classical import learning
from hemaline_train.classical.canny_watershed import segment_by_watershed
from hemaline_train.classical.cascade import learn_cascade
from hemaline_train.classical.faster_rcnn import train_faster_rcnn
from hemaline_train.classical.kmeans import segment_by_kmeans
from hemaline_train.classical.leukaemia_types import judge_union
from hemaline_train.classical.otsu import segment_by_otsu
from hemaline_train.classical.small_cnn import learn_cnn
from hemaline_train.classical.system import Reading, System
from hemaline_train.data.tasks import ALL_SUBTYPE, APL, CELL_CLASS, CELL_FINE

_CELLS = (CELL_CLASS, CELL_FINE)
_ALL = (CELL_CLASS, CELL_FINE, ALL_SUBTYPE, APL)


SYSTEMS: dict[str, System] = {
    one.name: one
    for one in (
        System(
            name="system-d-faster-rcnn",
            reference="Ren et al., Faster R-CNN, NeurIPS 2015, as used to count blood cells",
            method="region proposals and a second look at each, on EfficientNet-Lite0's maps; "
            "counts what it finds",
            weakness="slow beside a one-stage finder; needs the scale; white cells only, because "
            "many red cells of the data are not boxed",
            finder=train_faster_rcnn,
        ),
        System(
            name="system-f-fab",
            reference="FAB-style pipelines: Linde, Buzo and Gray 1980; Canny 1986; watershed; "
            "FAB classes after Bennett et al. 1976",
            method="vector quantisation, adaptive Canny with hysteresis and a watershed cut out "
            "the cell; shape, texture and colour; SVM or naive Bayes",
            weakness="pale cytoplasm and touching red cells spoil the outline; naive Bayes takes "
            "correlated features for independent evidence; of the FAB classes only M3 (APL) has "
            "labels",
            segment=segment_by_watershed,
            readings=tuple(
                reading
                for variant, learn in (
                    ("svm", learning.learn_svm),
                    ("naive bayes", learning.learn_naive_bayes),
                )
                for reading in (
                    Reading(variant, (*_CELLS, APL), lambda _: by.WATERSHED_CELLS, learn),
                    Reading(variant, (ALL_SUBTYPE,), lambda _: by.FIELDS, learn),
                )
            ),
        ),
        System(
            name="system-g-kmeans",
            reference="k-means segmentation of leukaemic cells (Mohapatra and Patra 2010; many)",
            method="four clusters of L*a*b* colours: nucleus, cytoplasm, red cells, glass",
            weakness="segments only; a red cell that touches the cell may become cytoplasm",
            segment=segment_by_kmeans,
        ),
        System(
            name="system-h-cascade",
            reference="two-stage recognition: SVM for abnormal cells, then a network for the five "
            "normal types",
            method="SVM normal or abnormal, SVM blast or other precursor, perceptron for the five "
            "normal types; Otsu's masks",
            weakness="an error of the first stage cannot be mended by the second",
            readings=(Reading("", (CELL_CLASS,), lambda _: by.OTSU_CELLS, learn_cascade),),
        ),
        System(
            name="system-i-morphology",
            reference="blast morphology with a perceptron and a tuned SVM (Putzu et al. 2014; "
            "Scotti 2005)",
            method="size, form, chromatin, nucleoli and colour of nucleus and cytoplasm from "
            "Otsu's masks; perceptron or SVM over a finer grid",
            weakness="everything hangs on the masks; nucleoli are a few pixels of texture",
            segment=segment_by_otsu,
            readings=(
                Reading("perceptron", (*_CELLS, APL), lambda _: by.OTSU_CELLS, learning.learn_mlp),
                Reading(
                    "tuned svm",
                    (*_CELLS, APL),
                    lambda _: by.OTSU_CELLS,
                    learning.learn_finely_tuned_svm,
                ),
            ),
        ),
        System(
            name="system-j-whole-picture",
            reference="OpenCV and scikit-image features with CNN, feed-forward network, SVM and "
            "k-NN",
            method="gradients (HOG), local binary patterns, co-occurrence and colour histograms of "
            "the whole crop; the CNN reads its pixels",
            weakness="sees neighbours and glass as well as the cell; the CNN is small and taught "
            "on two thousand pictures",
            readings=(
                Reading("cnn", (*_CELLS, ALL_SUBTYPE), lambda _: by.PIXELS, learn_cnn),
                Reading(
                    "feed-forward", (*_CELLS, ALL_SUBTYPE), lambda _: by.WHOLE, learning.learn_mlp
                ),
                Reading("svm", (*_CELLS, ALL_SUBTYPE), lambda _: by.WHOLE, learning.learn_svm),
                Reading(
                    "k-nn", (*_CELLS, ALL_SUBTYPE), lambda _: by.WHOLE, learning.learn_neighbours
                ),
            ),
        ),
        System(
            name="system-k-leukaemia-types",
            reference="one SVM over the types of leukaemia: ALL, AML, CLL, CML",
            method="SVM on the features of nuclei: ALL's subtypes, APL among AML, and the union of "
            "both laboratories",
            weakness="no data for CLL and CML; on the union, type and laboratory are one and the "
            "same",
            readings=(
                Reading("svm", (ALL_SUBTYPE,), lambda _: by.FIELDS, learning.learn_svm),
                Reading("svm", (APL,), lambda _: by.OTSU_CELLS, learning.learn_svm),
            ),
            aside=judge_union,
        ),
        System(
            name="baseline-colour",
            reference="a shortcut: overall colour",
            method="logistic regression on means, spreads and percentiles of the three channels",
            weakness="knows nothing of form: what is not above it has learned the stain",
            readings=(Reading("", _ALL, lambda _: by.COLOURS, learning.learn_logistic),),
        ),
        System(
            name="baseline-rim",
            reference="a shortcut: the outer eighth of the picture",
            method="logistic regression on the colours round the cell, without the cell",
            weakness="knows nothing of the cell at all",
            readings=(Reading("", _ALL, lambda _: by.RIMS, learning.learn_logistic),),
        ),
        System(
            name="baseline-corner",
            reference="a shortcut: the lower right corner, where scale bars are burnt in",
            method="logistic regression on 40 x 40 pixels of one corner",
            weakness="knows nothing of the cell at all",
            readings=(Reading("", _ALL, lambda _: by.CORNERS, learning.learn_logistic),),
        ),
        System(
            name="baseline-frozen-lite0",
            reference="Tan and Le 2019, EfficientNet-Lite0, ImageNet weights",
            method="logistic regression on the pooled features of a network that never saw blood",
            weakness="features of cats and cars; nothing of it is adapted to cells",
            readings=(
                Reading(
                    "",
                    _ALL,
                    lambda bench: by.lite0_description(bench.weights),
                    learning.learn_logistic,
                ),
            ),
        ),
        System(
            name="finder-classical-1",
            reference="Hemaline's own finder, as the edge runs it",
            method="nuclei by their purple over an estimated background, then the box of the cell",
            weakness="takes large platelets and stain for nuclei; boxes of pale cells are guessed",
            finder=lambda _: finder_of_kind("classical"),
        ),
        System(
            name="finder-learned-1",
            reference="Hemaline's learned finder, as the edge runs it",
            method="a small convolutional network on absorbance; see docs/leukocyte-finding.md",
            weakness="see docs/leukocyte-finding.md",
            finder=lambda _: finder_of_kind("learned"),
        ),
        System(
            name="finder-combined-1",
            reference="Hemaline's combined finder, as the edge may run it",
            method="asks the learned finder and the classical one; see docs/leukocyte-finding.md",
            weakness="takes the time of both",
            finder=lambda _: finder_of_kind("combined"),
        ),
    )
}


def known_system(name: str) -> System:
    """Return a system by its name.

    Raises:
        PermanentError: `unknown-system`; the message lists the known ones.
    """
    if name not in SYSTEMS:
        raise PermanentError(
            "unknown-system", f"There is no system {name!r}; there are {', '.join(SYSTEMS)}."
        )
    return SYSTEMS[name]
