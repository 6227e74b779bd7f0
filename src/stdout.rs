//! Whether standard output can take what is shown only once.

use crate::exit::{Failure, Fault, Result};
use medledger::{DeliveryMode, Ledger, MailSettings};

/// Refuses to do what can only be shown once where standard output was closed when we were started.
pub(crate) fn check() -> Result<()> {
    if is_closed() {
        let text = "standard output is closed: nothing was done, for it could not be shown";
        return Err(Failure::new(Fault::Environment, "stdout_closed", text)
            .hint("repeat the command with an open standard output"));
    }
    Ok(())
}

/// The same where an access key is handed over by whoever types the command: without mail, and unless it
/// waits to be picked up.
pub(crate) fn check_for_key(ledger: &Ledger) -> Result<()> {
    let settings = ledger.settings();
    let elsewhere =
        settings.mail != MailSettings::None || settings.delivery == Some(DeliveryMode::Pickup);
    if elsewhere { Ok(()) } else { check() }
}

/// In place of a closed standard output the runtime opens the null device before `main`, for reading and
/// writing; who asks for that device asks for writing alone.
#[cfg(unix)]
fn is_closed() -> bool {
    use rustix::fs::{FileType, OFlags, fcntl_getfl, fstat, stat};
    let out = std::io::stdout();
    let (Ok(there), Ok(flags)) = (fstat(&out), fcntl_getfl(&out)) else { return true };
    FileType::from_raw_mode(there.st_mode) == FileType::CharacterDevice
        && flags & OFlags::RWMODE == OFlags::RDWR
        && stat("/dev/null").is_ok_and(|null| null.st_rdev == there.st_rdev)
}

#[cfg(not(unix))]
const fn is_closed() -> bool {
    false
}
