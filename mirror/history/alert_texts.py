"""What alerts say, in Chinese and in English. `{...}` are the facts of the rule's query."""

from __future__ import annotations

from dataclasses import dataclass

from mirror.config import AlertRule
from mirror.outcome import Reason


@dataclass(frozen=True, slots=True)
class Bilingual:
    """The same sentence in Chinese and in English."""

    zh: str
    en: str


@dataclass(frozen=True, slots=True)
class Sayings:
    """A rule's sentences: while it holds, once it is over, and what to do."""

    holds: Bilingual
    over: Bilingual
    advice: Bilingual


SAYINGS = {
    AlertRule.TAG_FAILED: Sayings(
        Bilingual(
            "{count} 个标签重试 {retries} 次后仍同步失败",
            "tags that still fail after {retries} retries: {count}",
        ),
        Bilingual("{count} 个标签不再失败", "tags that no longer fail: {count}"),
        Bilingual(
            "之后按 retry.then_every 的间隔重试；按原因处理后可用 mirror sync 立即重试",
            "they are tried every retry.then_every; once it is dealt with, run mirror sync",
        ),
    ),
    AlertRule.RUN_FAILED: Sayings(
        Bilingual(
            "同步连续失败 {runs} 次（含重试）",
            "the sync failed {runs} times in a row, retries included",
        ),
        Bilingual("同步恢复正常", "the sync works again"),
        Bilingual(
            "运行 mirror doctor 检查仓库与凭据",
            "run mirror doctor to check the registries and credentials",
        ),
    ),
    AlertRule.DELAY_GOAL: Sayings(
        Bilingual(
            "{count} 个标签超出 {goal_minutes} 分钟的延迟目标（已 {delay_minutes} 分钟）",
            "tags that miss the delay goal of {goal_minutes} min: {count} (at {delay_minutes})",
        ),
        Bilingual("{count} 个标签已同步到镜像", "tags that have arrived at the mirror: {count}"),
        Bilingual(
            "用 mirror status 查看同步是否在运行、目标仓库是否变慢",
            "see with mirror status whether syncs run and whether the target has become slow",
        ),
    ),
    AlertRule.NO_SUCCESS: Sayings(
        Bilingual(
            "已有 {intervals} 个周期（每 {every_minutes} 分钟）没有成功的同步",
            "no successful sync for {intervals} intervals of {every_minutes} min",
        ),
        Bilingual("同步再次成功", "a sync has succeeded again"),
        Bilingual(
            "检查 Prefect 服务、worker 和调度是否在运行（mirror up），再手动运行 mirror sync",
            "check that Prefect's server, worker and schedule run (mirror up); run mirror sync",
        ),
    ),
    AlertRule.SCHEDULE_LATE: Sayings(
        Bilingual(
            "调度 {schedule}（每 {every_minutes} 分钟）已 {silent_minutes} 分钟没有运行",
            "the schedule {schedule} (every {every_minutes} min) has not run for"
            " {silent_minutes} min",
        ),
        Bilingual("调度 {schedule} 恢复运行", "the schedule {schedule} runs again"),
        Bilingual(
            "检查 Prefect 服务与 worker 是否在运行、运行是否被取消（mirror up 的日志）；重启它们",
            "check whether Prefect's server and worker run and whether runs are cancelled (logs of"
            " mirror up); restart them",
        ),
    ),
    AlertRule.REGISTRY_UNREACHABLE: Sayings(
        Bilingual("{registry} 连续无法访问", "{registry} cannot be reached"),
        Bilingual("{registry} 恢复可用", "{registry} can be reached again"),
        Bilingual(
            "检查网络与仓库状态；恢复后自动继续同步，无需操作",
            "check the network and the registry's status; syncs go on by themselves afterwards",
        ),
    ),
    AlertRule.DATABASE_AWAY: Sayings(
        Bilingual(
            "无法访问记录数据库，同步与告警都已停止",
            "the history database cannot be reached: syncs and alerts have stopped",
        ),
        Bilingual("记录数据库恢复可用", "the history database is back"),
        Bilingual(
            "检查 PostgreSQL 与 MIRROR_DATABASE_URL",
            "check PostgreSQL and MIRROR_DATABASE_URL",
        ),
    ),
    AlertRule.SOURCE_LOST_TAGS: Sayings(
        Bilingual(
            "来源列出的标签突然减少，未标记或删除任何标签",
            "the source suddenly lists fewer tags; nothing was marked as gone or deleted",
        ),
        Bilingual("来源的标签列表恢复正常", "the source's list of tags is plausible again"),
        Bilingual(
            "检查来源仓库；若确已删除，运行 mirror sync NAME --full --accept-loss",
            "check the source; if the tags were deleted on purpose, run mirror sync NAME --full"
            " --accept-loss",
        ),
    ),
    AlertRule.DRIFT: Sayings(
        Bilingual(
            "{count} 个标签在镜像中与同步时的内容不同",
            "tags at the mirror that are not what was put there: {count}",
        ),
        Bilingual("{count} 个标签已与来源一致", "tags that agree with the source again: {count}"),
        Bilingual(
            "下次同步会修复；检查还有谁能写入目标仓库",
            "the next sync repairs them; check who else may write to the target",
        ),
    ),
    AlertRule.IMMUTABLE_MOVED: Sayings(
        Bilingual(
            "{count} 个不可变标签在来源处被改动，镜像保持原样",
            "immutable tags that moved at the source, left as they were: {count}",
        ),
        Bilingual(
            "{count} 个不可变标签不再有差异", "immutable tags that no longer differ: {count}"
        ),
        Bilingual(
            "确认改动是否有意；若有意，请修改 mirrors.yaml 的 tags.immutable",
            "find out whether it was meant; if so, change tags.immutable in mirrors.yaml",
        ),
    ),
    AlertRule.QUOTA_LOW: Sayings(
        Bilingual(
            "{registry} 的拉取配额只剩 {remaining} / {quota}（{window_hours} 小时，{account}）",
            "{registry}: {remaining} of {quota} pulls left in {window_hours} h ({account})",
        ),
        Bilingual("{registry} 的拉取配额恢复", "the pull quota of {registry} is back"),
        Bilingual(
            "为来源仓库配置登录账户，或减少镜像的标签",
            "give the source registry a login, or mirror fewer tags",
        ),
    ),
    AlertRule.CREDENTIAL_REFUSED: Sayings(
        Bilingual("{registry} 拒绝了凭据", "{registry} refused the credential"),
        Bilingual("{registry} 再次接受凭据", "the credential is accepted again by {registry}"),
        Bilingual(
            "更新凭据（密码、令牌或其权限），用 mirror doctor 检查",
            "renew the credential (password, token or its rights) and check it with mirror doctor",
        ),
    ),
    AlertRule.CREDENTIAL_EXPIRING: Sayings(
        Bilingual(
            "{registry} 的凭据将于 {expires} 过期（{days} 天后）",
            "the credential of {registry} expires at {expires} (in {days} days)",
        ),
        Bilingual("{registry} 的凭据已更新", "the credential of {registry} was renewed"),
        Bilingual("在此之前更新凭据", "renew it before then"),
    ),
    AlertRule.ATTESTATIONS_DROPPED: Sayings(
        Bilingual(
            "目标仓库拒绝证明（attestation），镜像不含它们，摘要与来源不同",
            "the target refuses attestations: left out, so digests differ from the source",
        ),
        Bilingual(
            "七天内没有再丢失证明（attestation）",
            "no attestations were left out for seven days",
        ),
        Bilingual(
            "若可接受，设 attestations: drop；否则换用支持 OCI 工件的仓库版本",
            "if that is fine, set attestations: drop; else use an edition that takes OCI artifacts",
        ),
    ),
    AlertRule.PULL_FAILURES: Sayings(
        Bilingual(
            "一天内 {pulls} 次拉取有 {failed} 次失败（{percent}%，目标 ≤ {goal_percent}%）",
            "{failed} of {pulls} pulls in a day failed ({percent} %, goal ≤ {goal_percent} %)",
        ),
        Bilingual("拉取失败率回到目标之内", "the share of failed pulls is within the goal again"),
        Bilingual(
            "用 mirror probe 重现；检查目标仓库的状态与匿名拉取权限",
            "reproduce it with mirror probe; check the target's health and anonymous pull",
        ),
    ),
}

# What a cause's alert says of each thing that it explains.
CONSEQUENCES = {
    AlertRule.RUN_FAILED: Bilingual("同步连续失败", "syncs fail"),
    AlertRule.TAG_FAILED: Bilingual("{count} 个标签同步失败", "tags that fail: {count}"),
    AlertRule.NO_SUCCESS: Bilingual("没有成功的同步", "no sync succeeds"),
    AlertRule.DELAY_GOAL: Bilingual(
        "{count} 个标签超出延迟目标", "tags that miss the delay goal: {count}"
    ),
    AlertRule.SCHEDULE_LATE: Bilingual("{count} 个同步调度没有运行", "silent schedules: {count}"),
}

REASONS = {
    Reason.AUTH: Bilingual(
        "auth：凭据缺失、错误或权限不足", "auth: credential missing, wrong or without the right"
    ),
    Reason.NOT_FOUND: Bilingual(
        "not_found：仓库或内容不存在", "not_found: repository or content is absent"
    ),
    Reason.QUOTA: Bilingual("quota：拉取配额用尽", "quota: the pull quota is used up"),
    Reason.THROTTLED: Bilingual("throttled：仓库限流", "throttled: the registry limits requests"),
    Reason.REFUSED_MEDIA_TYPE: Bilingual(
        "refused_media_type：目标仓库不接受这种内容",
        "refused_media_type: the target does not take it",
    ),
    Reason.DIGEST_MISMATCH: Bilingual(
        "digest_mismatch：内容与摘要不符", "digest_mismatch: content does not match its digest"
    ),
    Reason.NETWORK: Bilingual("network：网络连接失败", "network: the connection failed"),
    Reason.SERVER_ERROR: Bilingual(
        "server_error：仓库内部错误", "server_error: the registry failed"
    ),
    Reason.TIMEOUT: Bilingual(
        "timeout：仓库没有及时回应", "timeout: the registry did not answer in time"
    ),
    Reason.STORAGE: Bilingual(
        "storage：目标仓库空间不足或不可写", "storage: the target is full or read-only"
    ),
    Reason.REFUSED: Bilingual(
        "refused：仓库或其策略拒绝", "refused: the registry or its policy refuses it"
    ),
    Reason.UNSIGNED: Bilingual(
        "unsigned：没有所配置密钥的有效签名，未同步",
        "unsigned: no valid signature by the configured key, so it is not mirrored",
    ),
    Reason.SUSPICIOUS: Bilingual(
        "suspicious：来源列表不可信", "suspicious: the source's list is not believed"
    ),
    Reason.LOCK: Bilingual("lock：另一个同步正在进行", "lock: another sync works on the target"),
    Reason.ABANDONED: Bilingual("abandoned：同步进程被终止", "abandoned: the sync was killed"),
    Reason.INTERNAL: Bilingual("internal：程序内部错误", "internal: a defect of this program"),
}


def filled(words: Bilingual, facts: dict[str, str | int | float | None], count: int) -> Bilingual:
    """The sentence with its facts. Unknown facts show as `?`."""
    values = _Facts({key: _shown(value) for key, value in facts.items()} | {"count": str(count)})
    return Bilingual(words.zh.format_map(values), words.en.format_map(values))


class _Facts(dict[str, str]):
    def __missing__(self, key: str) -> str:
        return "?"


def _shown(value: str | int | float | None) -> str:
    if isinstance(value, float):
        return f"{value:g}"
    return "?" if value is None else str(value)
