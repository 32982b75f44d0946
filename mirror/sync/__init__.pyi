from .ahead import Ahead as Ahead
from .anonymous_pull import anonymous_trouble as anonymous_trouble
from .blob_placement import Shared as Shared
from .clients import Sides as Sides, open_sides as open_sides, tag_rules as tag_rules
from .context import SHARED_UPLOADS as SHARED_UPLOADS, SyncRun as SyncRun
from .deletion import TagRemover as TagRemover
from .diff import diff as diff
from .discover import Look as Look, discover as discover
from .equip import (
    begin as begin,
    budget_of as budget_of,
    make_copier as make_copier,
    put_off as put_off,
    quota_of as quota_of,
    remember as remember,
    warn_if_closed as warn_if_closed,
)
from .mark_referrers import learn_source as learn_source, mark_late_referrers as mark_late_referrers
from .progress import METER as METER, Meter as Meter
from .single_flight import SingleFlight as SingleFlight
from .sync_tag import adopt as adopt, bring as bring, verify_task as verify_task
from .tag_order import Landings as Landings
from .tag_rules import (
    TagRules as TagRules,
    natural_key as natural_key,
    specificity as specificity,
    subject_of as subject_of,
)
