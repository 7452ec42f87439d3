"""Logging in at an identity provider: OpenID Connect, authorization code with PKCE.

Each log-in that sets out has a row of its own, bound to its browser and good for one return: tabs
do not disturb each other, and a replayed answer finds nothing.
"""

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, cast

import httpx2
from authlib.common.errors import AuthlibBaseError
from authlib.integrations.httpx_client import OAuth2Client
from authlib.oidc.core import CodeIDToken
from joserfc import jwt
from joserfc.errors import ExpiredTokenError, InvalidKeyIdError, InvalidTokenError, JoseError
from joserfc.jwk import KeySet

from hemaline_cloud.people.secrets import new_secret
from hemaline_cloud.settings import OidcSettings
from hemaline_shared.errors import PermanentError, TransientError

_TIMEOUT_S = 5.0
_KEEP_S = 3600.0
"""For how long the provider's description is believed."""
_LONGEST_S = 12 * 3600
"""At the provider a log-in may be so old; without such a bound it need not say how old it is."""
_ALGORITHMS = [f"{kind}{bits}" for kind in ("RS", "PS", "ES") for bits in (256, 384, 512)]


@dataclass(frozen=True, slots=True)
class Departure:
    """A log-in that sets out: where to, and what its return must fit."""

    address: str
    state: str
    nonce: str
    code_verifier: str


@dataclass(frozen=True, slots=True)
class Arrival:
    """Who came back, by the provider's word."""

    issuer: str
    subject: str
    name: str
    full_name: str
    groups: frozenset[str]
    authenticated_at: datetime


class IdentityProvider:
    """Speaks with one provider; safe to share between threads."""

    def __init__(self, settings: OidcSettings, redirect_uri: str) -> None:
        self._settings = settings
        self._redirect_uri = redirect_uri
        self._description: dict[str, Any] = {}
        self._described_at = 0.0
        self._keys: KeySet | None = None

    def depart(self, *, again: bool) -> Departure:
        """Return where a browser goes to log in.

        Args:
            again: The provider must ask, even whom it knows.

        Raises:
            TransientError: `identity-provider-away`.
        """
        state, nonce, verifier = new_secret(), new_secret(), new_secret() + new_secret()
        asked: dict[str, object] = {"nonce": nonce, "max_age": 0 if again else _LONGEST_S}
        if again:
            asked["prompt"] = "login"
        endpoint = self._describe()["authorization_endpoint"]
        with self._client() as client:
            address, _ = client.create_authorization_url(
                endpoint, state=state, code_verifier=verifier, **asked
            )
        return Departure(str(address), state, nonce, verifier)

    def arrive(self, code: str, nonce: str, code_verifier: str) -> Arrival:
        """Exchange a code for who it is.

        Raises:
            TransientError: `identity-provider-away`.
            PermanentError: `log-in-refused`, `clocks-differ` or `bad-id-token`.
        """
        description = self._describe()
        try:
            with self._client() as client:
                token = client.fetch_token(
                    description["token_endpoint"], code=code, code_verifier=code_verifier
                )
                claims = self._claims(token, nonce)
                if self._settings.groups_claim not in claims:
                    claims = self._more(client, claims)
        except httpx2.HTTPError as error:
            raise _away(error) from error
        except (AuthlibBaseError, ValueError, KeyError) as error:
            raise PermanentError(
                "log-in-refused", f"the provider did not take its own code back: {error}"
            ) from error
        return self._arrival(claims)

    def grants(self, groups: frozenset[str]) -> set[tuple[str, str]]:
        """Return which roles at which sites the rules give to members of the groups."""
        rules = self._settings.rules
        return {(rule.role, rule.site) for rule in rules if rule.group in groups}

    def _claims(self, token: dict[str, Any], nonce: str) -> dict[str, Any]:
        try:
            try:
                decoded = self._decode(token["id_token"], fresh=False)
            except InvalidKeyIdError:  # the provider changes its keys now and then
                decoded = self._decode(token["id_token"], fresh=True)
            issuer = {"iss": {"essential": True, "value": self._describe()["issuer"]}}
            bound = {"nonce": nonce, "client_id": self._settings.client_id}
            audience = {"aud": {"essential": True, "value": self._settings.client_id}}
            claims = CodeIDToken(decoded.claims, decoded.header, issuer | audience, bound)
            claims.validate(leeway=self._settings.leeway_s)
        except (ExpiredTokenError, InvalidTokenError) as error:
            raise PermanentError(
                "clocks-differ",
                f"by this server's clock the provider's answer is of another time ({error}):"
                " one of the two clocks is wrong",
            ) from error
        except JoseError as error:
            raise PermanentError("bad-id-token", f"its answer does not hold: {error}") from error
        return dict(claims)

    def _decode(self, id_token: str, *, fresh: bool) -> jwt.Token:
        if self._keys is None or fresh:
            self._keys = KeySet.import_key_set(cast("Any", _get(self._describe()["jwks_uri"])))
        return jwt.decode(id_token, self._keys, algorithms=_ALGORITHMS)

    def _more(self, client: OAuth2Client, claims: dict[str, Any]) -> dict[str, Any]:
        """Ask for what is not in the ID token: many providers tell groups only then."""
        endpoint = self._describe().get("userinfo_endpoint")
        if not endpoint:
            return claims
        answer = client.get(endpoint)
        answer.raise_for_status()
        told: dict[str, Any] = answer.json()
        if told.get("sub") != claims["sub"]:
            raise PermanentError("bad-id-token", "its two answers are about two people")
        return told | claims

    def _arrival(self, claims: dict[str, Any]) -> Arrival:
        if not isinstance(claims.get("auth_time"), int | float):
            raise PermanentError("bad-id-token", "it does not say when you logged in there")
        groups = claims.get(self._settings.groups_claim, ())
        named = groups if isinstance(groups, list | tuple) else [groups]
        name = str(claims.get("preferred_username") or claims.get("email") or claims["sub"])
        return Arrival(
            issuer=str(self._describe()["issuer"]),
            subject=str(claims["sub"]),
            name=name,
            full_name=str(claims.get("name") or name)[:200],
            groups=frozenset(map(str, named)),
            authenticated_at=datetime.fromtimestamp(min(time.time(), claims["auth_time"]), UTC),
        )

    def _describe(self) -> dict[str, Any]:
        now = time.monotonic()
        if not self._description or now - self._described_at > _KEEP_S:
            issuer = str(self._settings.issuer).rstrip("/")
            told = _get(f"{issuer}/.well-known/openid-configuration")
            if str(told.get("issuer", "")).rstrip("/") != issuer:
                raise PermanentError(
                    "bad-id-token", f"it calls itself {told.get('issuer')}, not {issuer}"
                )
            self._description, self._described_at = told, now
        return self._description

    def _client(self) -> OAuth2Client:
        secret = self._settings.client_secret
        return OAuth2Client(
            client_id=self._settings.client_id,
            client_secret=secret.get_secret_value() if secret else None,
            token_endpoint_auth_method="client_secret_basic" if secret else "none",
            scope=self._settings.scopes,
            redirect_uri=self._redirect_uri,
            code_challenge_method="S256",
            timeout=_TIMEOUT_S,
        )


def _get(address: str) -> dict[str, Any]:
    try:
        answer = httpx2.get(address, timeout=_TIMEOUT_S)
        answer.raise_for_status()
        told = answer.json()
    except (httpx2.HTTPError, ValueError) as error:
        raise _away(error) from error
    if not isinstance(told, dict):
        raise TransientError("identity-provider-away", f"{address} answers nonsense")
    return told


def _away(error: Exception) -> TransientError:
    return TransientError("identity-provider-away", f"{type(error).__name__}: {error}")
