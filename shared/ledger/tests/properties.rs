//! Random histories of concurrent calls over a faulty network, with the invariants of
//! `docs/money.md` checked after every step and at rest.

use proptest::collection::vec;
use proptest::prelude::*;

use crate::world::World;

/// Histories in a usual run; `FAREBOX_SEQUENCES` asks for more.
const SEQUENCES: u32 = 2_000;

#[expect(clippy::disallowed_methods, reason = "a longer run is asked for by hand")]
fn config() -> ProptestConfig {
    let asked = std::env::var("FAREBOX_SEQUENCES").ok().and_then(|text| text.parse().ok());
    ProptestConfig {
        cases: asked.unwrap_or(SEQUENCES),
        failure_persistence: None,
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
