/*
 * Which rule a finding breaks: the name under which findings are counted, deduplicated and told to people.
 *
 * A rule is told from what the access met and what the oracle holds at that moment, not from the ops that led there:
 * one rule is one reason, whatever the script. The findings themselves are defined in rmp.md 8.
 */
#pragma once

enum world_finding { FINDING_NONE, FINDING_STALE, FINDING_LOSES_DMA, FINDING_EXPANDS, FINDING_KINDS };

const char *world_finding_name(enum world_finding finding);  /* "STALE", "LOSES DMA", "EXPANDS" */
const char *world_finding_token(enum world_finding finding); /* "stale", "loses-dma", "expands" */

enum world_rule {
    RULE_NONE,
    /* STALE */
    RULE_AFTER_OWNER_CHANGE,
    RULE_AFTER_UNMAP,
    RULE_AFTER_REMAP,
    RULE_AFTER_RIGHTS,
    RULE_STALE_WALK,
    RULE_NEVER_MAPPED,
    /* LOSES DMA */
    RULE_SIZE_BYSTANDER,
    RULE_SIZE_LEAF_LARGER,
    RULE_SIZE_LEAF_SMALLER,
    RULE_SIZE_S1_TABLE,
    RULE_SIZE_RECHECK,
    RULE_OWNER_MIXED_REGION,
    RULE_OWNER_HOST_TABLE,
    RULE_OLD_ENTRY,
    RULE_OLD_WALK,
    RULE_LOST_OTHER,
    /* EXPANDS */
    RULE_BEYOND_S2_LEAF,
    RULE_BEYOND_S1_LEAF,
    RULE_OTHER_OWNER,
    RULE_FILLED_BY_OLD_WALK,
    RULE_COUNT,
};

/* "rmp-size-bystander", ...: lower case, unique, kept once published. */
const char *world_rule_name(enum world_rule rule);
/* One line for a maintainer: what went wrong, and why. */
const char *world_rule_title(enum world_rule rule);
/* The finding that the rule belongs to. */
enum world_finding world_rule_finding(enum world_rule rule);
