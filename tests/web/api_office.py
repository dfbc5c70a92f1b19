"""The office of a small support desk in memory: its audit log and its tokens, for tests of the web layer."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime

import msgspec

from bot.core.ids import ConversationId, CustomerId
from bot.ports.failures import Unavailable
from bot.ports.tokens import KeptToken, LivingToken, NewToken, Refusal, TokenId, known_scopes
from bot.records import AuditRecord, AuditWanted
from bot.web.api.admission import Admission
from bot.web.rates import Rates


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """A line of the audit log."""

    action: str
    by: str
    customer: CustomerId | None = None
    conversation: ConversationId | None = None
    detail: str = ""


class MemoryAudit:
    """`Audit` that keeps its lines."""

    def __init__(self) -> None:
        self.lines: list[Line] = []

    async def record(
        self,
        action: str,
        *,
        by: str,
        customer: CustomerId | None = None,
        conversation: ConversationId | None = None,
        detail: str = "",
    ) -> None:
        self.lines.append(Line(action=action, by=by, customer=customer, conversation=conversation, detail=detail))


class MemoryTokens:
    """`Tokens` that counts how often it is read, and is away when told to be."""

    def __init__(self, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self.audited: list[tuple[str, str, TokenId]] = []
        self.reads = 0
        self.away = False
        self.uses: list[tuple[TokenId, float]] = []
        self._now = now
        self._kept: dict[TokenId, tuple[KeptToken, bytes]] = {}

    async def add(self, token: NewToken) -> KeptToken:
        if any(kept.name == token.name and kept.revoked_at is None for kept, _ in self._kept.values()):
            raise Refusal(f"A token is named {token.name} already: revoke it, or take another name.")
        kept = KeptToken(
            id=TokenId(len(self._kept) + 1),
            name=token.name,
            scopes=known_scopes(token.scopes),
            created_at=self._now(),
            created_by=token.by,
            last_used_at=None,
            expires_at=token.expires_at,
            revoked_at=None,
        )
        self._kept[kept.id] = kept, token.hash
        self.audited.append(("token_added", token.by, kept.id))
        return kept

    async def revoke(self, token: TokenId, *, by: str) -> KeptToken | None:
        kept, digest = self._kept.get(token, (None, b""))
        if kept is None or kept.revoked_at is not None:
            return None
        revoked = msgspec.structs.replace(kept, revoked_at=self._now())
        self._kept[token] = revoked, digest
        self.audited.append(("token_revoked", by, token))
        return revoked

    async def living(self) -> Sequence[LivingToken]:
        self.reads += 1
        if self.away:
            raise Unavailable("away")
        return [
            LivingToken(
                id=kept.id, name=kept.name, hash=digest, scopes=frozenset(kept.scopes), expires_at=kept.expires_at
            )
            for kept, digest in self._kept.values()
            if kept.revoked_at is None
        ]

    async def page(self, *, after: TokenId | None, limit: int) -> Sequence[KeptToken]:
        found = [kept for kept, _ in reversed(self._kept.values()) if after is None or kept.id < after]
        return found[:limit]

    async def used(self, tokens: Sequence[tuple[TokenId, float]]) -> None:
        if self.away:
            raise Unavailable("away")
        self.uses += tokens


def admission(tokens: MemoryTokens, admin_token: str, *, rate: float = 1e6, burst: int = 10**6) -> Admission:
    """As a service has it, fast enough for any test that is not about speed."""
    return Admission(admin_token=admin_token, tokens=tokens, rates=Rates(rate=rate, burst=burst))


def audit_page(
    lines: Sequence[AuditRecord], wanted: AuditWanted, *, after: tuple[datetime, int] | None, limit: int
) -> Sequence[AuditRecord]:
    """What `Records.audit` finds among the lines."""
    latest_first = sorted(lines, key=lambda line: (line.created_at, line.id), reverse=True)
    found = [
        line
        for line in latest_first
        if wanted.action in {None, line.action}
        and wanted.by in {None, line.by}
        and wanted.phone in {None, line.phone_number}
        and wanted.conversation in {None, line.conversation_id}
        and (wanted.since is None or wanted.since <= line.created_at)
        and (wanted.until is None or line.created_at < wanted.until)
        and (after is None or (line.created_at, line.id) < after)
    ]
    return found[:limit]
