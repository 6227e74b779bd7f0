//! Keys of a node, and what it publishes under them.

use super::answer;
use super::{Kubo, KuboError};
use serde::Deserialize;
use std::time::Duration;

/// A key that a node holds. The node never gives its secret half away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// What the node calls it.
    pub name: String,
    /// The name that others resolve: `k51…`.
    pub id: String,
}

/// What stands under a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Published {
    /// The name, `k51…`.
    pub name: String,
    /// A path, `/ipfs/…`.
    pub value: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct KeyAnswer {
    name: String,
    id: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct KeyList {
    keys: Option<Vec<KeyAnswer>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct PublishAnswer {
    name: String,
    value: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ResolveAnswer {
    path: String,
}

impl From<KeyAnswer> for Key {
    fn from(answer: KeyAnswer) -> Self {
        Self { name: answer.name, id: answer.id }
    }
}

impl Kubo {
    /// Has the node make an Ed25519 key.
    ///
    /// # Errors
    /// When it has one of that name, or the call fails.
    pub fn key_generate(&self, name: &str) -> Result<Key, KuboError> {
        const COMMAND: &str = "key/gen";
        let reply = self.ask(COMMAND, &[("arg", name), ("type", "ed25519")])?;
        Ok(answer::value::<KeyAnswer>(COMMAND, reply)?.into())
    }

    /// The keys it holds; one of them, `self`, is its own.
    ///
    /// # Errors
    /// When the call fails.
    pub fn keys(&self) -> Result<Vec<Key>, KuboError> {
        const COMMAND: &str = "key/ls";
        let list: KeyList = self.ask_again(|| answer::value(COMMAND, self.ask(COMMAND, &[])?))?;
        Ok(list.keys.unwrap_or_default().into_iter().map(Key::from).collect())
    }

    /// Publishes a path under a key, for a time. Works without a routing system as well; peers that
    /// hear of it otherwise can ask for it then.
    ///
    /// # Errors
    /// When the node has no such key, or the call fails.
    pub fn name_publish(
        &self,
        path: &str,
        key: &str,
        lifetime: Duration,
    ) -> Result<Published, KuboError> {
        const COMMAND: &str = "name/publish";
        let lifetime = format!("{}s", lifetime.as_secs());
        let query = [
            ("arg", path),
            ("key", key),
            ("lifetime", &lifetime),
            ("resolve", "false"),
            ("allow-offline", "true"),
        ];
        let answer: PublishAnswer =
            self.ask_again(|| answer::value(COMMAND, self.ask(COMMAND, &query)?))?;
        Ok(Published { name: answer.name, value: answer.value })
    }

    /// What stands under a name, as far as the node knows or finds out within `most`.
    ///
    /// # Errors
    /// When nothing is found, or the call fails.
    pub fn name_resolve(&self, name: &str, most: Duration) -> Result<String, KuboError> {
        const COMMAND: &str = "name/resolve";
        let timeout = super::go_duration(most);
        let query = [("arg", name), ("recursive", "false"), ("timeout", &timeout)];
        let patience = self.endpoint.patience().answer + most;
        let answer: ResolveAnswer = self.ask_again(|| {
            let reply = self.call(COMMAND, &query).patient(patience).reply()?;
            answer::value(COMMAND, self.accepted(COMMAND, reply)?)
        })?;
        Ok(answer.path)
    }
}
