//! Letters that wait, put into the queue and sent.

use super::Ledger;
use crate::mail::{self, Letter, LetterId, NotifyError};
use crate::steps::Step;
use medledger_core::store::{StoreError, Unit};

impl Ledger {
    /// Whether letters are sent at all; if not, keys are picked up.
    #[must_use]
    pub fn sends_mail(&self) -> bool {
        self.notifier.is_some()
    }

    pub(crate) fn enqueue(
        &self,
        unit: &mut dyn Unit,
        letter: &Letter,
    ) -> Result<LetterId, StoreError> {
        mail::enqueue(unit, &self.node_key, letter, &mut self.rng())
    }

    /// Tries to send every letter that waits. Those that cannot be sent stay in the queue.
    ///
    /// # Errors
    /// When the store fails; a mail server that refuses is told in the result.
    pub fn send_mail(&self) -> Result<MailReport, StoreError> {
        let mut report = MailReport::default();
        let waiting = mail::waiting(self.view()?.as_ref(), &self.node_key)?;
        let Some(notifier) = &self.notifier else {
            report.waiting = waiting.len();
            return Ok(report);
        };
        let mut letters = waiting.into_iter();
        while let Some((id, letter)) = letters.next() {
            match letter.and_then(|letter| notifier.send(&id, &letter)) {
                Ok(()) => {
                    let mut unit = self.store.unit()?;
                    mail::remove(unit.as_mut(), &id)?;
                    unit.commit()?;
                    report.sent += 1;
                    report.letters.push(id);
                }
                Err(error) => {
                    tracing::warn!(letter = %id, %error, "a letter could not be sent and waits");
                    report.waiting += 1;
                    let gone = matches!(error, mail::NotifyError::Unreachable { .. });
                    report.error = Some(error);
                    if gone {
                        // Each of the others would wait as long, and as much in vain.
                        report.waiting += letters.len();
                        break;
                    }
                }
            }
        }
        self.step(Step::MailTried);
        Ok(report)
    }

    /// Sends what waits after a use case; a failing store must not make an accepted record look lost.
    pub(crate) fn try_mail(&self) -> MailReport {
        self.send_mail().unwrap_or_else(|error| {
            tracing::warn!(%error, "letters wait: the queue could not be read");
            MailReport::default()
        })
    }

    /// As [`Ledger::try_mail`], and whether `letter` went out. What became of others in the queue
    /// says nothing about it.
    pub(crate) fn try_mail_of(&self, letter: Option<&LetterId>) -> bool {
        let report = self.try_mail();
        letter.is_some_and(|letter| report.letters.contains(letter))
    }
}

/// What became of the letters that waited.
#[derive(Debug, Default)]
pub struct MailReport {
    /// Letters sent.
    pub sent: usize,
    /// Which ones, in the order they were sent.
    pub letters: Vec<LetterId>,
    /// Letters that still wait.
    pub waiting: usize,
    /// Why the last of them waits.
    pub error: Option<NotifyError>,
}
