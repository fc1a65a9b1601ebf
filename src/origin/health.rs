//! Whether a server is healthy, by its checks, as a plain value.
//!
//! ```text
//!              `fall` bad checks in a row
//!    HEALTHY ─────────────────────────────► UNHEALTHY
//!       ▲                                       │
//!       └───────────────────────────────────────┘
//!              `rise` good checks in a row
//! ```

/// The health of one server.
#[derive(Clone, Copy, Debug)]
pub struct Health {
    rise: u32,
    fall: u32,
    healthy: bool,
    is_checked: bool,
    /// Checks in a row that speak against it.
    against: u32,
}

/// What a check has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// The server may be asked like any other.
    BecameHealthy,
    /// It is asked only when no healthy one is left.
    BecameUnhealthy,
}

impl Health {
    /// Healthy, for a server that nobody has checked yet must be asked.
    pub fn new(rise: u32, fall: u32) -> Self {
        Self {
            rise,
            fall,
            healthy: true,
            is_checked: false,
            against: 0,
        }
    }

    /// A check has ended.
    pub fn observed(&mut self, good: bool) -> Option<Change> {
        self.is_checked = true;
        if good == self.healthy {
            self.against = 0;
            return None;
        }
        self.against += 1;
        let enough = if self.healthy { self.fall } else { self.rise };
        if self.against < enough {
            return None;
        }
        self.against = 0;
        self.healthy = good;
        Some(match good {
            true => Change::BecameHealthy,
            false => Change::BecameUnhealthy,
        })
    }

    /// Whether a check has ended.
    pub fn is_checked(&self) -> bool {
        self.is_checked
    }

    /// Whether the server is to be preferred.
    pub fn is_healthy(&self) -> bool {
        self.healthy
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn it_takes_a_row_of_checks() {
        let mut health = Health::new(2, 3);
        let checks = [
            false, false, true, false, false, false, true, false, true, true,
        ];
        let changes: Vec<_> = checks.map(|good| health.observed(good)).into();
        let mut expected = [None; 10];
        expected[5] = Some(Change::BecameUnhealthy);
        expected[9] = Some(Change::BecameHealthy);
        assert_eq!(changes, expected);
    }

    proptest! {
        /// It changes exactly when the last checks, since the last change, all say so.
        #[test]
        fn changes_have_their_reason(
            rise in 0u32..4,
            fall in 0u32..4,
            checks in prop::collection::vec(any::<bool>(), 1..100),
        ) {
            let mut health = Health::new(rise, fall);
            let mut row = Vec::new();
            for good in checks {
                let was = health.is_healthy();
                row.push(good);
                let enough = if was { fall } else { rise }.max(1) as usize;
                let flips = row.len() >= enough && row[row.len() - enough..].iter().all(|g| *g != was);
                let expected = match (flips, was) {
                    (false, _) => None,
                    (true, true) => Some(Change::BecameUnhealthy),
                    (true, false) => Some(Change::BecameHealthy),
                };
                prop_assert_eq!(health.observed(good), expected);
                prop_assert_eq!(health.is_healthy(), was != flips);
                if flips {
                    row.clear();
                }
            }
        }
    }
}
