//! Secrets come from a prompt, a file or the environment; never from an argument, which every
//! process of the machine can see.

use crate::exit::{Failure, Fault, Result};
use crate::{failures, lookup};
use clap::Args;
use medledger::{AccessKey, Identity, Key, Ledger, Member};
use std::io::{IsTerminal, Read};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// No password or key is longer; a larger file is something else.
const LIMIT: u64 = 4096;

/// Whose secret it is and where it may come from.
pub(crate) struct Source<'a> {
    /// Shown when asking, such as "password of Dr Ada".
    pub(crate) what: &'a str,
    /// The file option's name.
    pub(crate) option: &'static str,
    /// What was given with it.
    pub(crate) file: Option<&'a Path>,
    /// The environment variable.
    pub(crate) variable: &'static str,
}

impl Source<'_> {
    /// The secret from file or environment, if one of them is given.
    fn given(&self) -> Result<Option<Zeroizing<String>>> {
        if let Some(path) = self.file {
            return read_file(path).map(Some);
        }
        match std::env::var(self.variable) {
            Ok(value) => Ok(Some(Zeroizing::new(value))),
            Err(std::env::VarError::NotPresent) => Ok(None),
            Err(std::env::VarError::NotUnicode(_)) => {
                Err(Failure::usage("secret", format!("{} is not UTF-8 text", self.variable)))
            }
        }
    }

    fn ask(&self, prompt: &str) -> Result<Zeroizing<String>> {
        if !std::io::stdin().is_terminal() {
            let (what, option, variable) = (self.what, self.option, self.variable);
            return Err(Failure::usage("no_secret", format!("no {what} given")).hint(format!(
                "give --{option} FILE, or the environment variable {variable}, \
                 or run the command at a terminal to be asked"
            )));
        }
        let typed = rpassword::prompt_password(prompt).map_err(|error| failures::io(&error))?;
        Ok(Zeroizing::new(typed))
    }

    /// The secret, asked for if need be.
    pub(crate) fn get(&self) -> Result<Zeroizing<String>> {
        match self.given()? {
            Some(secret) => Ok(secret),
            None => self.ask(&format!("{}: ", capitalized(self.what))),
        }
    }

    /// A new secret; whoever types it types it twice.
    pub(crate) fn create(&self) -> Result<Zeroizing<String>> {
        if let Some(secret) = self.given()? {
            return Ok(secret);
        }
        let first = self.ask(&format!("New {}: ", self.what))?;
        let again = self.ask("Once more, the same: ")?;
        if *first == *again {
            Ok(first)
        } else {
            Err(Failure::usage("password_differs", "the two passwords differ")
                .hint("repeat the command"))
        }
    }
}

fn capitalized(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |c| c.to_uppercase().chain(chars).collect())
}

/// Text of a small file, without the line end behind it.
pub(crate) fn read_file(path: &Path) -> Result<Zeroizing<String>> {
    let problem = |error: &std::io::Error| failures::file(path, error);
    let file = std::fs::File::open(path).map_err(|error| problem(&error))?;
    let mut text = Zeroizing::new(String::with_capacity(LIMIT as usize + 1));
    file.take(LIMIT + 1).read_to_string(&mut text).map_err(|error| match error.kind() {
        std::io::ErrorKind::InvalidData => {
            Failure::usage("secret", format!("{} is not UTF-8 text", path.display()))
        }
        _ => problem(&error),
    })?;
    if text.len() as u64 > LIMIT {
        let path = path.display();
        return Err(Failure::usage("secret", format!("{path} has more than {LIMIT} bytes")));
    }
    let end = text
        .strip_suffix('\n')
        .map_or(text.len(), |line| line.strip_suffix('\r').unwrap_or(line).len());
    text.truncate(end);
    Ok(text)
}

/// Where the password of whoever acts comes from.
#[derive(Args, Clone, Debug)]
pub(crate) struct PasswordArgs {
    /// File with the password [else: MEDLEDGER_PASSWORD, else you are asked]
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
}

impl PasswordArgs {
    fn source<'a>(&'a self, what: &'a str) -> Source<'a> {
        Source {
            what,
            option: "password-file",
            file: self.password_file.as_deref(),
            variable: "MEDLEDGER_PASSWORD",
        }
    }

    /// A password that does not exist yet.
    pub(crate) fn create(&self, what: &str) -> Result<Zeroizing<String>> {
        self.source(what).create()
    }

    /// A password that exists already.
    pub(crate) fn existing(&self, what: &str) -> Result<Zeroizing<String>> {
        self.source(what).get()
    }

    /// A member's identity, unlocked.
    pub(crate) fn unlock(&self, ledger: &Ledger, member: &Member) -> Result<Identity> {
        let what = format!("password of {}", member.contact.name);
        let password = self.source(&what).get()?;
        let identity = ledger.unlock(&member.id, &password).map_err(|error| {
            let failure = Failure::from(error);
            if failure.code() == "wrong_password" {
                failure.doing(&member.contact.name)
            } else {
                failure
            }
        })?;
        // They sign nothing, and everything would be refused for it, in other words each time.
        if *identity.public() != member.entry.identity {
            let name = &member.contact.name;
            let text =
                format!("the identity file of {name} here holds former keys: others are in force");
            return Err(Failure::new(Fault::Refused, "not_in_force", text).hint(
                "`medledger identity install FILE` puts the file with the present ones here, from where they were made",
            ));
        }
        Ok(identity)
    }
}

/// Who acts.
#[derive(Args, Clone, Debug)]
pub(crate) struct Acting {
    /// Who acts: registration number, member id, or the beginning of one
    #[arg(long = "as", value_name = "MEMBER")]
    member: String,
    #[command(flatten)]
    password: PasswordArgs,
}

impl Acting {
    /// The member and their unlocked identity.
    pub(crate) fn unlock(&self, ledger: &Ledger) -> Result<(Member, Identity)> {
        let member = lookup::member(ledger, &self.member)?;
        let identity = self.password.unlock(ledger, &member)?;
        Ok((member, identity))
    }
}

/// Where an access key comes from, if one is used.
#[derive(Args, Clone, Debug)]
pub(crate) struct AccessKeyArgs {
    /// Ask for an access key
    #[arg(long, conflicts_with = "access_key_file")]
    access_key: bool,
    /// File with the access key [else: MEDLEDGER_ACCESS_KEY, else the identity itself is the key]
    #[arg(long, value_name = "FILE")]
    access_key_file: Option<PathBuf>,
}

impl AccessKeyArgs {
    /// The access key, if one is given.
    pub(crate) fn get(&self) -> Result<Option<AccessKey>> {
        let source = Source {
            what: "access key",
            option: "access-key-file",
            file: self.access_key_file.as_deref(),
            variable: "MEDLEDGER_ACCESS_KEY",
        };
        let text = match source.given()? {
            Some(text) => text,
            None if self.access_key => source.ask("Access key: ")?,
            None => return Ok(None),
        };
        Ok(Some(AccessKey::from_text(&text)?))
    }
}

/// What unwraps the report's key: the access key if one is given, else the identity.
pub(crate) fn key(access_key: Option<&AccessKey>) -> Key<'_> {
    access_key.map_or(Key::Identity, Key::Access)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_end_behind_a_secret_is_dropped_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("secret");
        for (stored, read) in
            [("a b \n", "a b "), ("a\r\n", "a"), ("a\n\n", "a\n"), ("", ""), ("a", "a")]
        {
            std::fs::write(&path, stored).unwrap();
            assert_eq!(*read_file(&path).unwrap(), read);
        }
        std::fs::write(&path, "x".repeat(5000)).unwrap();
        assert_eq!(read_file(&path).unwrap_err().code(), "secret");
        std::fs::write(&path, [0xff]).unwrap();
        assert_eq!(read_file(&path).unwrap_err().code(), "secret");
    }
}
