//! The answer to a client's own request, taken in apart from that request.

use super::{FillError, Flow, Intake};
use crate::source::Body;

impl Intake {
    /// Brings a body in by a task of its own. `end` is where it ends in the object, if that is
    /// known.
    pub fn take_in(mut self, body: Box<dyn Body>, end: Option<u64>) {
        let fills = self.fills().clone();
        fills.run(async move {
            match self.bring(body, end).await {
                Ok(Flow::Continue) => self.finish().await,
                // Nobody wants the rest; what is cut in the middle is not declared whole.
                Ok(Flow::Stop) => drop(self),
                Err(why) => self.fail(why),
            }
        });
    }

    /// `Flow::Continue` tells of a proper end.
    async fn bring(
        &mut self,
        mut body: Box<dyn Body>,
        end: Option<u64>,
    ) -> Result<Flow, FillError> {
        while let Some(bytes) = body.next().await? {
            if end.is_some_and(|end| self.offset() + bytes.len() as u64 > end) {
                return Err(FillError::Broken("more bytes than announced".into()));
            }
            if self.push(bytes).await? == Flow::Stop || self.is_idle() {
                return Ok(Flow::Stop);
            }
        }
        match end.is_none_or(|end| end == self.offset()) {
            true => Ok(Flow::Continue),
            false => Err(FillError::Broken("fewer bytes than announced".into())),
        }
    }
}
