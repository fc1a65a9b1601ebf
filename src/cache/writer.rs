//! pingora-cache's `HandleMiss`: an origin's answer to a client's own request, on its way into
//! the store.

use super::Order;
use crate::fill::{Flow, Intake, Visit};
use async_trait::async_trait;
use bytes::Bytes;
use pingora_cache::storage::{HandleMiss, MissFinishType};
use pingora_core::Result;
use std::sync::Arc;

/// Tees the body into chunks. It never fails: when nothing more of it can be kept, or is needed, the
/// rest of the body is given up, and readers, that of this request among them, have what lacks
/// fetched.
pub(super) struct Writer {
    intake: Option<Intake>,
    order: Arc<Order>,
    written: usize,
    /// Where somebody else brings it in, for whom: until its reader has come.
    _visit: Option<Arc<Visit>>,
}

impl Writer {
    /// Nothing is written here: what comes in does so elsewhere.
    pub fn beside(order: Arc<Order>, visit: Arc<Visit>) -> Self {
        Self {
            intake: None,
            order,
            written: 0,
            _visit: Some(visit),
        }
    }

    pub fn new(intake: Intake, order: Arc<Order>) -> Self {
        Self {
            intake: Some(intake),
            order,
            written: 0,
            _visit: None,
        }
    }
}

#[async_trait]
impl HandleMiss for Writer {
    async fn write_body(&mut self, data: Bytes, _eof: bool) -> Result<()> {
        self.written += data.len();
        let Some(mut intake) = self.intake.take() else {
            return Ok(());
        };
        self.order.has_room_for(0);
        match intake.push(data).await {
            Ok(Flow::Continue) => {
                let client_waits = intake.is_near_end() && !self.order.has_left();
                self.order.mark_unwanted(!client_waits && intake.is_idle());
                self.order.has_room_for(intake.promised());
                self.intake = Some(intake);
            }
            Ok(Flow::Stop) => {
                self.order.mark_unwanted(true);
                self.order.mark_landed();
            }
            Err(why) => {
                intake.fail(why);
                self.order.mark_landed();
            }
        }
        Ok(())
    }

    async fn finish(mut self: Box<Self>) -> Result<MissFinishType> {
        if let Some(intake) = self.intake.take() {
            intake.finish().await;
        }
        Ok(MissFinishType::Created(self.written))
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.intake = None;
        self.order.mark_landed();
    }
}
