"""Which patterns a slide's counts fit, for whoever may know these counts.

The model's count and the reader's are held against the rules each by itself. Nothing is said to
anybody from whom the machine's answers are hidden of the model's, and nothing at all of a slide
that awaits its second reader: a suggestion would reach them before they have read.
"""

import logging

from sqlalchemy import Connection

from hemaline_cloud.database.orders import get_order
from hemaline_cloud.database.policies import policy_of
from hemaline_cloud.database.reading.slides import SlideRow
from hemaline_cloud.database.summary import SlideSummary
from hemaline_cloud.orders.order import BloodCount
from hemaline_cloud.patterns.counted import ReadCount, counted_by_model
from hemaline_cloud.patterns.judging import judge
from hemaline_cloud.patterns.result import SlidePatterns
from hemaline_cloud.patterns.rules import LoadedRules, read_rules, shipped_rules
from hemaline_cloud.review.reader_counts import ReadSoFar
from hemaline_cloud.review.states import ReviewState
from hemaline_shared.errors import PermanentError

logger = logging.getLogger(__name__)


def rules_of_site(connection: Connection, site: str) -> LoadedRules:
    """Return the rules that hold at a site.

    Raises:
        PermanentError: `rules-unreadable`: an earlier version took them, and this one does not.
    """
    own = policy_of(connection, site).policy.pattern_rules
    return shipped_rules() if own is None else read_rules(own)


def slide_patterns(
    connection: Connection, slide: SlideRow, read: ReadSoFar | None
) -> SlidePatterns | None:
    """Return which patterns a slide's counts fit; None where nobody may be told, or none is known.

    Args:
        connection: In a transaction.
        slide: As whoever asks may see it.
        read: Its count as they may see people's labels.
    """
    if slide.result is None or slide.review is ReviewState.AWAITING_SECOND_READER:
        return None
    try:
        loaded = rules_of_site(connection, slide.site)
    except PermanentError as error:
        logger.warning("no pattern is told at %s: %s", slide.site, error)
        return None
    order = get_order(connection, slide.order_id) if slide.order_id else None
    blood_count = order.counted if order else BloodCount()
    of_model, of_people = None, None
    if not slide.machine_hidden:
        summary = SlideSummary.model_validate(slide.result.content)
        of_model = judge(loaded.rules, counted_by_model(summary), blood_count)
    if read and read.named:
        count = ReadCount(read.summary.cells_by_class, read.leukocytes_named)
        of_people = judge(loaded.rules, count, blood_count)
    return SlidePatterns(rules=loaded.used, model=of_model, read=of_people)
