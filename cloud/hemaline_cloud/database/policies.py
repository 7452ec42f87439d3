"""What each site asks of its readers; a version is only ever added."""

from dataclasses import dataclass

from sqlalchemy import Connection, func, insert, select

from hemaline_cloud.database.audit import Event, record_event
from hemaline_cloud.database.schema import SitePolicy
from hemaline_cloud.patterns.rules import read_rules
from hemaline_cloud.principal import Principal
from hemaline_cloud.review.policy import DEFAULT_POLICY, ReviewPolicy
from hemaline_shared.ids import new_id


@dataclass(frozen=True, slots=True)
class PolicyOfSite:
    """A policy and its version; 0 is the default."""

    version: int
    policy: ReviewPolicy


def policy_of(connection: Connection, site: str) -> PolicyOfSite:
    """Return the newest policy of a site, or the default."""
    query = (
        select(SitePolicy.version, SitePolicy.content)
        .where(SitePolicy.site == site)
        .order_by(SitePolicy.version.desc())
        .limit(1)
    )
    row = connection.execute(query).one_or_none()
    if row is None:
        return PolicyOfSite(0, DEFAULT_POLICY)
    return PolicyOfSite(row.version, ReviewPolicy.model_validate(row.content))


def set_policy(connection: Connection, who: Principal, site: str, policy: ReviewPolicy) -> int:
    """Let a policy hold at a site from now on; return its version.

    Raises:
        PermanentError: `rules-unreadable`; its rules of patterns are none.
    """
    if policy.pattern_rules is not None:
        read_rules(policy.pattern_rules)
    newest = select(func.max(SitePolicy.version)).where(SitePolicy.site == site)
    version = (connection.scalar(newest) or 0) + 1
    policy_id = new_id()
    row = {
        "policy_id": policy_id,
        "site": site,
        "version": version,
        "content": policy.model_dump(mode="json"),
        "made_by": who.id,
    }
    connection.execute(insert(SitePolicy), row)
    detail = f"version {version}: {policy.model_dump_json()}"
    record_event(connection, who, Event("set-policy", "review-policy", policy_id, detail, site))
    return version
