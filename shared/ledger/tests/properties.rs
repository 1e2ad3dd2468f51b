//! Random histories of concurrent calls over a faulty network, with the invariants of
//! `docs/money.md` checked after every step and at rest.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::FileFailurePersistence;

use crate::world::World;

/// Histories in a usual run; `FAREBOX_SEQUENCES` asks for more.
const SEQUENCES: u32 = 2_000;
/// The seeds of histories that failed, which every run tries first: they are committed.
const FAILED: &str = "tests/properties.regressions";

#[expect(clippy::disallowed_methods, reason = "a longer run is asked for by hand")]
fn config() -> ProptestConfig {
    let asked = std::env::var("FAREBOX_SEQUENCES").ok().and_then(|text| text.parse().ok());
    ProptestConfig {
        cases: asked.unwrap_or(SEQUENCES),
        failure_persistence: Some(Box::new(FileFailurePersistence::Direct(FAILED))),
        max_shrink_iters: 20_000,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn no_history_breaks_an_invariant(
        limits in [proptest::option::of(0..150_i128), proptest::option::of(0..150_i128),
            proptest::option::of(0..150_i128)],
        steps in vec((any::<u8>(), any::<u8>(), any::<u8>()), 1..150),
        is_ahead in any::<bool>(),
        is_heard_again in any::<bool>(),
    ) {
        let mut world = World::new(limits, is_ahead);
        for (what, whom, how) in steps {
            world.step(what, whom, how);
        }
        world.rest(is_heard_again);
    }
}

/// Found by the property: a refund of a day, then its month is archived while the day stands.
#[test]
fn a_refund_stays_in_its_day_when_the_month_is_archived() {
    let mut world = World::new([None; 3], true);
    let call = [(0, 0, 165), (2, 0, 39), (2, 0, 0), (2, 0, 7), (12, 0, 0), (0, 0, 0)];
    let refund = [(11, 0, 43), (15, 122, 3), (11, 0, 5), (13, 0, 40), (15, 0, 144)];
    let archive = [(14, 0, 247), (8, 1, 0), (8, 0, 0)];
    for (what, whom, how) in call.into_iter().chain(refund).chain(archive) {
        world.step(what, whom, how);
    }
    world.rest(false);
}

/// Found by the property, in 100,000 histories: the prune of a day is decided, an entry of the day
/// before it comes first, and that day, which had no counters, stands below the watermark.
#[test]
fn a_day_that_an_entry_brings_below_the_watermark_is_taken_away_again() {
    let mut world = World::new([None; 3], true);
    let entries = [(0, 0, 0), (0, 0, 0), (15, 20, 9), (2, 0, 9), (15, 170, 15), (11, 0, 5)];
    let closed = [(13, 0, 0), (14, 0, 7), (15, 1, 12), (8, 1, 0)];
    for (what, whom, how) in entries.into_iter().chain(closed) {
        world.step(what, whom, how);
    }
    world.rest(false);
}

/// Found by the property, in 100,000 histories: the zone changes at a month's end, and a share that
/// has not followed yet refuses a call of the new month by what the old one cost.
#[test]
fn a_share_that_has_not_followed_a_change_of_the_zone_refuses_nobody() {
    let mut world = World::new([None, None, Some(0)], false);
    let zone = [(59, 4, 9), (78, 0, 0), (175, 89, 62)];
    for (what, whom, how) in zone.into_iter().chain([(135, 182, 45), (36, 199, 0)]) {
        world.step(what, whom, how);
    }
    world.rest(false);
}

/// Found by the property, in 100,000 histories: a share draws for the old day and month, its draw
/// is late; the new ones have counters and are to be closed by a clock that is weeks ahead; then
/// the draw comes, and what it draws stands below the watermarks.
#[test]
fn what_a_late_draw_brings_below_the_watermark_is_taken_away_again() {
    let mut world = World::new([None; 3], true);
    let switched = [(19, 1, 0), (18, 0, 0)];
    let drawn = [(16, 52, 7), (11, 0, 3), (16, 190, 9)];
    for (what, whom, how) in switched.into_iter().chain(drawn).chain([(14, 0, 7)]) {
        world.step(what, whom, how);
    }
    world.rest(false);
}
