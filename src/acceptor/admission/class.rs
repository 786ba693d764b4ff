//! Class of a connection.

use std::time::Duration;

use super::order::Class;
use crate::acceptor::connection_state::{ConnectionState, Occupancy};

/// Minimum time of a request that no layer has admitted before it is closed, on a connection with admitted ones before.
const GRACE: Duration = Duration::from_millis(500);

/// Minimum time of such a request on another connection: it can be on its way to the layer.
const FIRST_GRACE: Duration = Duration::from_millis(50);

/// Minimum time without progress after which such a connection counts as stalled.
const STALLED: Duration = Duration::from_secs(1);

/// Returns the class of a connection, and the time for which it has been in it. None: it is not closed. `silent` is the
/// time without any byte.
///
/// Progress of an unread response counts for admitted requests only, and minimum times for connections with an admitted
/// request only: other callers could keep their connections by a byte or a request now and then.
pub(super) fn class_of(state: &ConnectionState, silent: Duration) -> Option<(Class, Duration)> {
    let has_admitted = state.is_admitted();
    let idle = |waiting| match has_admitted {
        true => (Class::Idle, waiting),
        false => (Class::NeverAdmitted, waiting),
    };
    match state.occupancy() {
        None => Some(idle(state.age())),
        Some(Occupancy::Idle(waiting)) => Some(idle(waiting)),
        Some(Occupancy::Stalled { since, is_admitted }) => {
            let waiting = if is_admitted { since.min(silent) } else { since };
            (!has_admitted || waiting >= STALLED).then_some((Class::Stalled, waiting))
        }
        Some(Occupancy::Busy { since, is_admitted: false }) => {
            let grace = if has_admitted { GRACE } else { FIRST_GRACE };
            (since >= grace).then_some((Class::Open, since))
        }
        Some(Occupancy::Busy { is_admitted: true, .. }) => None,
        Some(Occupancy::Ending) => (!has_admitted).then_some((Class::NeverAdmitted, Duration::ZERO)),
        Some(Occupancy::Tunnel) if has_admitted => (silent >= STALLED).then_some((Class::Idle, silent)),
        Some(Occupancy::Tunnel) => Some((Class::Open, state.age())),
    }
}

#[cfg(all(test, feature = "serve"))]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::acceptor::connection_state::Occupied;

    struct Fixed(Occupancy);

    impl Occupied for Fixed {
        fn occupancy(&self) -> Occupancy {
            self.0
        }
    }

    #[test]
    fn minimum_times_and_progress_count_on_admitted_connections_only() {
        const SHORT: Duration = Duration::from_millis(400);
        const LONG: Duration = Duration::from_secs(2);
        let stalled = |since, is_admitted| Occupancy::Stalled { since, is_admitted };
        let busy = |since, is_admitted| Occupancy::Busy { since, is_admitted };
        // Occupancy, time without a byte; class of a connection without admitted request, and of another.
        for (occupancy, silent, never, admitted) in [
            (Occupancy::Idle(LONG), LONG, Some(Class::NeverAdmitted), Some(Class::Idle)),
            (Occupancy::Ending, SHORT, Some(Class::NeverAdmitted), None),
            (stalled(SHORT, false), SHORT, Some(Class::Stalled), None),
            (stalled(LONG, false), SHORT, Some(Class::Stalled), Some(Class::Stalled)),
            (stalled(LONG, true), SHORT, Some(Class::Stalled), None),
            (stalled(LONG, true), LONG, Some(Class::Stalled), Some(Class::Stalled)),
            (busy(SHORT, false), SHORT, Some(Class::Open), None),
            (busy(LONG, false), LONG, Some(Class::Open), Some(Class::Open)),
            (busy(LONG, true), LONG, None, None),
            (Occupancy::Tunnel, SHORT, Some(Class::Open), None),
            (Occupancy::Tunnel, LONG, Some(Class::Open), Some(Class::Idle)),
        ] {
            let state = ConnectionState::new(([127, 0, 0, 1], 1).into());
            state.set_occupied(Arc::new(Fixed(occupancy)));
            let class = || class_of(&state, silent).map(|(class, _)| class);
            assert_eq!(class(), never, "{occupancy:?}, silent for {silent:?}");
            state.admitted();
            assert_eq!(class(), admitted, "admitted, {occupancy:?}, silent for {silent:?}");
        }
    }
}
