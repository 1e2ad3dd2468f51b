//! The configurations and the mutants, one row each (`docs/money.md`, appendix B).

use super::Mutant;

/// A world small enough to be explored.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    pub name: &'static str,
    /// The scopes of each call.
    pub scopes: &'static [&'static [usize]],
    /// The limit, and what the owner changes it to.
    pub limits: [i128; 2],
    /// What the provider may bill.
    pub costs: &'static [i128],
    pub crashes: u8,
    /// A period ends and is archived.
    pub has_period: bool,
    pub has_limit_change: bool,
    /// The provider's outcome may stay unknown.
    pub has_unknown: bool,
    pub may_lose_event: bool,
    pub copies: u8,
    pub attempts: u8,
    /// Streams are metered: a hold may be extended once.
    pub has_extend: bool,
    /// How often a call that only open holds refuse may reserve again.
    pub waits: u8,
    /// Reserves arrive and are answered: only endings meet faults.
    pub has_calm_reserves: bool,
    /// The sweep also takes the hold of a call that still runs, though of none that reserves.
    pub sweeps_living: bool,
}

const ONE: Config = Config {
    name: "one",
    scopes: &[&[0]],
    limits: [3, 3],
    costs: &[1, 2],
    crashes: 1,
    has_period: true,
    has_limit_change: false,
    has_unknown: true,
    may_lose_event: false,
    copies: 2,
    attempts: 2,
    has_extend: false,
    waits: 0,
    has_calm_reserves: false,
    sweeps_living: false,
};

const TWO: Config = Config {
    name: "two",
    scopes: &[&[0], &[0]],
    costs: &[1],
    has_period: false,
    copies: 1,
    attempts: 1,
    ..ONE
};

/// The smallest world: whole in a second, also in a debug build.
const SMALL: Config = Config { name: "small", attempts: 1, copies: 1, has_period: false, ..ONE };

/// Every configuration that is explored whole, the smallest first.
pub const CONFIGS: &[Config] = &[
    SMALL,
    ONE,
    Config { name: "one-period", limits: [2, 1], has_limit_change: true, ..ONE },
    TWO,
    Config { name: "two-admin", limits: [4, 3], crashes: 0, has_limit_change: true, ..TWO },
    Config { name: "two-period", has_period: true, has_unknown: false, ..TWO },
    Config { name: "two-tight", limits: [2, 2], crashes: 0, has_period: true, ..TWO },
    Config { name: "qfail", may_lose_event: true, has_unknown: false, ..TWO },
    Config { name: "scopes", scopes: &[&[0, 1]], limits: [2, 2], ..TWO },
    Config { name: "shared", scopes: &[&[0, 1], &[0]], crashes: 0, has_unknown: false, ..TWO },
    Config { name: "two-crash", crashes: 2, has_unknown: false, ..TWO },
    Config {
        name: "scopes-all",
        scopes: &[&[0, 1]],
        limits: [3, 2],
        has_period: true,
        has_limit_change: true,
        has_unknown: false,
        ..TWO
    },
    THREE,
    Config { name: "three-calm", has_calm_reserves: true, ..THREE },
    EXTEND,
    Config { name: "extend-retried", limits: [4, 4], attempts: 2, copies: 2, ..EXTEND },
    EXTEND_TWO,
    Config { name: "extend-crash", crashes: 1, ..EXTEND_TWO },
    Config { name: "extend-crash-calm", crashes: 1, has_calm_reserves: true, ..EXTEND_TWO },
    Config { name: "extend-admin", limits: [5, 4], has_limit_change: true, ..EXTEND_TWO },
    Config { name: "extend-scopes", scopes: &[&[0, 1]], ..EXTEND },
    Config { name: "extend-shared", scopes: &[&[0, 1], &[0]], ..EXTEND_TWO },
    WAIT,
    Config { name: "wait-calm", has_calm_reserves: true, ..WAIT },
    WAIT_RETRIED,
    Config { name: "wait-crash", crashes: 1, has_calm_reserves: true, ..WAIT },
    Config { name: "alive", sweeps_living: true, ..EXTEND },
    Config { name: "alive-known", costs: &[1], has_unknown: false, ..ALIVE_SCOPES },
    ALIVE_SCOPES,
    Config { name: "alive-two", sweeps_living: true, crashes: 1, ..EXTEND_TWO },
];

/// Three calls with room for two of them.
const THREE: Config = Config {
    name: "three",
    scopes: &[&[0], &[0], &[0]],
    limits: [4, 4],
    crashes: 0,
    has_unknown: false,
    ..TWO
};

/// One metered call, which may extend its hold.
const EXTEND: Config =
    Config { name: "extend", has_extend: true, attempts: 1, has_period: false, copies: 1, ..ONE };

const EXTEND_TWO: Config = Config {
    name: "extend-two",
    scopes: &[&[0], &[0]],
    limits: [5, 5],
    costs: &[1],
    crashes: 0,
    has_unknown: false,
    ..EXTEND
};

const ALIVE_SCOPES: Config =
    Config { name: "alive-scopes", sweeps_living: true, scopes: &[&[0, 1]], ..EXTEND };

/// A call in two scopes and one in the second of them, with room there for one hold and one cost.
const WAIT: Config = Config {
    name: "wait",
    scopes: &[&[0, 1], &[1]],
    limits: [3, 3],
    crashes: 0,
    has_unknown: false,
    waits: 1,
    ..TWO
};

/// The same where a void may be sent twice, and its first copy be late.
const WAIT_RETRIED: Config =
    Config { name: "wait-retried", attempts: 2, has_calm_reserves: true, ..WAIT };

/// Each mutant, what is broken in it, and the configuration that kills it.
pub const MUTANTS: &[(Mutant, &str, &str)] = &[
    (Mutant::PlainAdd, "reserve without identity, the SDK resends once", "one"),
    (Mutant::NoFence, "no fence after an ambiguous reserve", "one"),
    (Mutant::NoWindow, "a fence is pruned at once", "one"),
    (Mutant::NoVoidFence, "a void finds no hold and leaves no fence", "one"),
    (Mutant::BlindSweep, "the sweep releases instead of charging", "one"),
    (Mutant::NoTombstone, "the sweep charges without a tombstone", "one"),
    (Mutant::NoAdjust, "the truth after the sweep is ignored", "one"),
    (Mutant::SettleUncond, "settle without #h = :h", "one"),
    (Mutant::PeriodAtSettle, "period taken at settle, not from the hold", "one"),
    (Mutant::PruneUncond, "prune without mc = ms", "one"),
    (Mutant::VoidOnUnknown, "void where the outcome is unknown", "one"),
    (Mutant::NoEpoch, "reserve without ep = :ep", "two-admin"),
    (Mutant::ReadThenWrite, "decision on a value read before", "two"),
    (Mutant::NoCompensation, "a partial hold is not voided", "shared"),
    (Mutant::AdjustPruned, "adjust ignores the watermark", "one"),
    (Mutant::PruneNoEpoch, "archive without raising ep", "two-tight"),
    (Mutant::EarlySweep, "the sweep does not wait for the deadline", "one"),
    (Mutant::SweepNoWindow, "the sweep waits for the process, not for its reserves", "one"),
    (Mutant::QueueNoFence, "the event does not carry ambiguous", "one"),
    (Mutant::ExtendNoCas, "an extension without #h = :h1", "extend-retried"),
    (Mutant::ExtendNoRoom, "an extension does not ask for room", "extend-two"),
    (Mutant::ExtendNoEpoch, "an extension without ep = :ep", "extend-admin"),
    (Mutant::SettleExists, "an ending asks only whether there is a hold", "extend"),
    (Mutant::MismatchDone, "an ending that finds another amount is done", "extend"),
    (Mutant::SameRid, "a call that has waited reserves under the same rid", "wait-retried"),
    (Mutant::UnconfirmedUse, "a stream goes on as if its extension were granted", "extend"),
];
