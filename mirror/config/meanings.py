"""What the keys of mirrors.yaml mean, one line each, which editors show at the key."""

from __future__ import annotations

from collections.abc import Mapping

_MIRROR = {
    "source": "repository to copy from; a name without a host is on Docker Hub",
    "target": "repository to copy to",
    "tags": "which tags are mirrored, and what may happen to tags at the target",
    "platforms": "all, or the platforms to copy; indexes are rebuilt without the others",
    "attestations": "drop leaves out BuildKit's attestations; keep does so where they are refused",
    "referrers": "copy signatures, SBOMs and provenance with their image",
    "every": "interval of the scheduled sync, which compares both sides in full",
    "watch_every": "how often the watch checks the source",
    "delay_goal": "longest time from a push to its verified arrival at the target",
    "rate_limit": "limit on the bytes per second of this mirror",
}
_ROBOT = {
    "url": "host of the service",
    "token_env": "variable that holds the robot's token",
    "secret_env": "variable that holds the secret for signatures, if the robot wants them",
    "key_env": "variable that holds the robot's key",
    "format": "markdown or text",
}

MEANINGS: Mapping[str, Mapping[str, str]] = {
    "Settings": {
        "registries": "how to reach registries, by host[:port] or host/repository",
        "mirrors": "the mirrors, by name; a source that ends in * matches many repositories",
        "hooks": "receive reports of pushes at the site's server, at /hooks/KIND/SECRET",
        "alerts": "the channels that get alerts",
        "alerting": "severities, reminders and quiet hours of alerts",
        "retry": "when a failed tag is tried again by later runs",
    },
    "HookSettings": {
        "secret_env": "variable that holds the secret at the end of the address",
    },
    "RegistrySettings": {
        "insecure": "plain http",
        "ca_file": "certificate authority of the registry, as a PEM file",
        "username_env": "variable that holds the user name",
        "password_env": "variable that holds the password or token",
        "username": "the user name itself, if it is not secret",
        "password_secret": "Prefect Secret block that holds the password",
        "hub_api": "where Docker Hub's web API is; set for docker.io",
    },
    "MirrorSettings": _MIRROR,
    "EntrySettings": {
        **_MIRROR,
        "source": "repositories to copy from, with one * at the end, such as docker.io/bitnami/*",
        "target": "repositories to copy to; with * in place of the repository name",
        "repositories": "which repositories of the source are mirrored",
    },
    "RepositoriesPolicy": {
        "include": "patterns of repositories to mirror",
        "exclude": "patterns of repositories not to mirror",
        "file": "file with a repository name per line, instead of asking the source",
    },
    "TagPolicy": {
        "include": "patterns of tags to mirror: globs, or regular expressions after re:",
        "exclude": "patterns of tags not to mirror",
        "semver": "range of versions to mirror, such as >=0.1.0 <1; other tags are excluded",
        "newest": "only the N most recently pushed tags",
        "immutable": "patterns of tags that are never overwritten once mirrored",
        "rename": "name of a tag at the target, with {tag}",
        "backup": "name under which an overwritten tag is kept, with {tag}, {digest}, {date}",
        "delete_after": "delete tags at the target this long after the source deleted them",
        "delete_share": "largest share of the known tags that the source is believed to lose",
    },
    "RateLimitSettings": {
        "rate": "bytes or bits per second",
        "from": "start of the hours in which it applies",
        "to": "end of the hours in which it applies; the same as from: all day",
        "timezone": "time zone of these hours",
    },
    "RetrySettings": {
        "times": "attempts before an alert goes out",
        "wait": "least time between these attempts",
        "then_every": "interval of the attempts after them",
    },
    "ChannelSettings": {
        "name": "name of the channel; by default its kind",
        "severities": "severities of the alerts that it gets; by default all",
        "mirrors": "mirrors whose alerts it gets; by default all",
        "dingtalk": "DingTalk group robot",
        "feishu": "Feishu group robot",
        "wecom": "WeCom group robot",
        "email": "mail",
        "apprise": "any service that apprise supports",
        "webhook": "any receiver of signed JSON",
    },
    "DingTalkOptions": _ROBOT,
    "FeishuOptions": _ROBOT,
    "WeComOptions": _ROBOT,
    "EmailOptions": {
        "smtp": "mail server: smtps://user@host:465 or smtp://user@host:587",
        "password_env": "variable that holds the password",
        "sender": "address of the sender",
        "to": "addresses of the recipients",
        "ca_file": "certificate authority of the mail server, as a PEM file",
        "insecure": "send without TLS, and then without a login",
    },
    "AppriseOptions": {"url_env": "variable that holds apprise's URL"},
    "AlertingSettings": {
        "missed_runs": "intervals without a successful run before an alert",
        "quota_low": "share of the pull quota below which an alert goes out",
        "pull_failures": "share of a day's pulls that may fail",
        "pull_samples": "pulls below which that share is not judged",
        "expires_within": "time before a credential expires at which an alert goes out",
        "repeat": "how often an open alert is repeated, by severity",
        "quiet_hours": "hours in which only critical alerts go out",
        "rules": "settings of single rules",
    },
    "RepeatSettings": {
        "critical": "interval for critical alerts",
        "warning": "interval for warnings",
        "info": "interval for notices",
    },
    "QuietHours": {
        "from": "start of the quiet hours",
        "to": "end of the quiet hours",
        "timezone": "time zone of these hours",
    },
    "RuleSettings": {
        "enabled": "whether the rule is evaluated",
        "severity": "how urgent its alerts are",
        "repeat": "how often its open alerts are repeated",
    },
}
