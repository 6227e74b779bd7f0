//! Many blocks in one answer.

use super::answer::{Bounded, accepted};
use super::{Gateway, GatewayError};
use crate::block::Block;
use crate::car::{CarError, Scope, SelectedCar, SelectedError};
use medledger_core::Cid;
use reqwest::Method;

const CAR: &str = "application/vnd.ipld.car";
const ACCEPT: &str = "application/vnd.ipld.car; version=1; order=dfs; dups=n";

/// Blocks that come one after the other, each verified, each asked for, and at the end all of them.
///
/// ```no_run
/// use medledger_ipfs::{car::Scope, gateway::Gateway};
/// let gateway = Gateway::connect("http://127.0.0.1:8080")?;
/// let root = "bafybeices3vqm35snerzf3rjok5xq5pr3wey2um3vaiujuotwqbupvz3wi".parse()?;
/// let mut blocks = gateway.car(&root, Scope::All)?;
/// while let Some((cid, block)) = blocks.next_block()? {
///     println!("{cid}: {} bytes", block.len());
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct CarStream {
    car: SelectedCar<Bounded>,
    gateway: String,
    root: Cid,
}

impl Gateway {
    /// What the scope says of the DAG below a root, in one request and in bounded memory.
    ///
    /// # Errors
    /// When the gateway has not got the root, cannot be asked, or does not answer with a CAR. What may pass is
    /// asked for again until the answer begins.
    pub fn car(&self, root: &Cid, scope: Scope) -> Result<CarStream, GatewayError> {
        self.endpoint.retry().run(|| self.car_once(root, scope))
    }

    /// As [`car`](Self::car), asked once.
    pub(super) fn car_once(&self, root: &Cid, scope: Scope) -> Result<CarStream, GatewayError> {
        let bytes;
        let mut query = vec![("format", "car"), ("dag-scope", name(scope))];
        if let Scope::Bytes { from, to } = scope {
            bytes = format!("{from}:{to}");
            query.push(("entity-bytes", &bytes));
        }
        query.extend([("car-order", "dfs"), ("car-dups", "n")]);
        let reply = self.call(Method::GET, root, ACCEPT, &query).reply()?;
        let reply = accepted(reply, CAR)?.ok_or_else(|| self.absent(root))?;
        let (most, within) = (self.options.car.max_bytes, self.options.within);
        let body = Bounded::new(reply, most, within);
        let (gateway, root) = (self.name().to_owned(), *root);
        match SelectedCar::new(body, &root, scope, self.options.car) {
            Ok(car) => Ok(CarStream { car, gateway, root }),
            Err(source) => Err(named(gateway, root, source)),
        }
    }
}

const fn name(scope: Scope) -> &'static str {
    match scope {
        Scope::Block => "block",
        Scope::Entity | Scope::Bytes { .. } => "entity",
        Scope::All => "all",
    }
}

impl CarStream {
    /// The next block. None at the end: all that was asked for came.
    ///
    /// # Errors
    /// See [`GatewayError`]: wrong bytes, a block not asked for, an answer that ended too early or does not
    /// end. After one, and after the end, there is nothing more.
    pub fn next_block(&mut self) -> Result<Option<(Cid, Block)>, GatewayError> {
        match self.car.next_block() {
            Ok(next) => Ok(next.map(|(cid, block)| (cid, Block::from(block)))),
            Err(source) => Err(named(self.gateway.clone(), self.root, source)),
        }
    }

    /// Whether all that was asked for has come.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.car.is_complete()
    }
}

/// The error by whose fault it is.
fn named(gateway: String, root: Cid, source: SelectedError) -> GatewayError {
    match source {
        SelectedError::Car(CarError::Io(error)) => match error.downcast::<GatewayError>() {
            Ok(inner) => inner,
            Err(error) => GatewayError::Car { gateway, source: CarError::Io(error).into() },
        },
        SelectedError::Car(CarError::Mismatch { cid, .. }) => {
            GatewayError::WrongBytes { gateway, cid }
        }
        SelectedError::Car(CarError::TooLong { limit }) => GatewayError::TooMuch { gateway, limit },
        // Kubo answers so for a root that it has not got.
        SelectedError::Empty => GatewayError::Absent { gateway, cid: root },
        source => GatewayError::Car { gateway, source },
    }
}
