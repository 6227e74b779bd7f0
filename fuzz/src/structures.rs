//! Oracles for the structures of the ledger, and seeds written by their own encoders.

use ipld_core::ipld::Ipld;
use medledger_core::access_key::AccessKey;
use medledger_core::block::{self, Block, Descriptor};
use medledger_core::checkpoint::{Checkpoint, Evidence, NoteKey, SignedNote, TlogProof};
use medledger_core::cid::Codec;
use medledger_core::clock::Timestamp;
use medledger_core::context::BodyContext;
use medledger_core::dek::Dek;
use medledger_core::envelope::{Envelope, Metadata, seal_meta};
use medledger_core::genesis::{Consensus, Founder, Genesis};
use medledger_core::identity::{Identity, LockParams, PublicIdentity, lock, peek};
use medledger_core::ids::TreeHash;
use medledger_core::ids::{BlockId, BlockRoot, ChainId, GrantId, MemberId, RecordNonce, ReportId};
use medledger_core::keys::{HpkeAlgorithm, HpkeSecretKey, SigningKey};
use medledger_core::log_tree::{LogTree, MemoryNodes};
use medledger_core::pow::{Bits, Header, Schedule};
use medledger_core::rand_core::{TryCryptoRng, TryRng};
use medledger_core::receipt::Receipt;
use medledger_core::record::{AddReport, Read, Record, Revoke, SignedRecord};
use medledger_core::registry::{CipherSuite, domain};
use medledger_core::seal::sealed_len;
use medledger_core::slot::{Slot, SlotContext, SlotRole};
use medledger_core::{Cid, cbor};
use medledger_ipfs::unixfs::{Builder, FileNode, Profile, dagpb::PbNode};
use std::convert::Infallible;

/// The same bytes each time: seeds must not change from run to run.
pub(crate) struct Sevens;

impl TryRng for Sevens {
    type Error = Infallible;
    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(7)
    }
    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(7)
    }
    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        bytes.fill(7);
        Ok(())
    }
}

impl TryCryptoRng for Sevens {}

pub(crate) fn author() -> Identity {
    Identity::from_keys(
        SigningKey::from_seed(&[1; 32]),
        HpkeSecretKey::from_bytes(HpkeAlgorithm::X25519, &[2; 32]),
    )
}

fn records() -> Vec<SignedRecord> {
    let author = author();
    let grant = GrantId::from_bytes([3; 16]);
    let report = ReportId::from_bytes([4; 16]);
    let head = BlockId::from_bytes([5; 32]);
    let read = Read { grant: Some(grant), report, version: 1, head };
    let record = |body| Record {
        chain: ChainId::from_bytes([6; 32]),
        nonce: RecordNonce::from_bytes([7; 16]),
        author: author.id(),
        time: Timestamp::from_secs(1_800_000_000),
        body,
    };
    let envelope = Cid::of(Codec::DagCbor, b"envelope");
    let add = |collection| AddReport { patient: author.id(), envelope, collection };
    let bodies = [Revoke { grant }.into(), read.into(), add(1).into(), add(2).into()];
    bodies.map(|body| record(body).sign(&author)).into()
}

/// A record: what is read is written back alike.
pub fn record(data: &[u8]) {
    if let Ok(record) = Record::decode(data) {
        assert_eq!(record.encode(), data);
    }
}

/// Seeds of [`record`].
pub fn record_seeds() -> Vec<Vec<u8>> {
    records().iter().map(|signed| signed.record().encode()).collect()
}

/// A signed record: written back alike, and its id is that of the record within.
pub fn signed_record(data: &[u8]) {
    let Ok(signed) = SignedRecord::decode(data) else { return };
    assert_eq!(signed.encode(), data);
    // Written from what was understood, by the library: reading alone decides that bytes are canonical.
    let parts = [signed.record().encode(), signed.signature().as_bytes().to_vec()];
    assert_eq!(cbor::encode(&parts.map(Ipld::Bytes)), data);
    let again = SignedRecord::decode(&signed.encode()).expect("it was just read");
    assert_eq!(again.id(), signed.id());
    // Any answer will do, as long as there is one.
    let _ = signed.verify(&author().public().signing_key());
}

/// Seeds of [`signed_record`].
pub fn signed_record_seeds() -> Vec<Vec<u8>> {
    records().iter().map(SignedRecord::encode).collect()
}

fn configuration() -> Genesis {
    let mining = SigningKey::from_seed(&[8; 32]).verifying_key();
    let founder = Founder { identity: author().public().clone(), mining };
    let bits = Bits::from_u32(0x207f_ffff);
    Genesis::single(founder, Consensus::Work(Schedule::Fixed { bits }))
}

/// A genesis configuration: written back alike, and valid.
pub fn genesis(data: &[u8]) {
    if let Ok(genesis) = Genesis::decode(data) {
        assert_eq!(genesis.encode(), data);
        assert_eq!(genesis.check(), Ok(()));
    }
}

/// Seeds of [`genesis`].
pub fn genesis_seeds() -> Vec<Vec<u8>> {
    let bits = Bits::from_u32(0x207f_ffff);
    let asert = Schedule::Asert { bits, floor: bits, spacing: 600, half_life: 172_800 };
    let others = [asert, Schedule::BITCOIN_MAINNET]
        .map(|schedule| Genesis { consensus: Consensus::Work(schedule), ..configuration() });
    std::iter::once(configuration()).chain(others).map(|genesis| genesis.encode()).collect()
}

fn header_bytes() -> Header {
    Header {
        version: Header::VERSION,
        previous: BlockId::from_bytes([1; 32]),
        root: BlockRoot::from_bytes([2; 32]),
        time: 3,
        bits: Bits::from_u32(0x207f_ffff),
        nonce: 4,
    }
}

/// A block: two bytes of length, the root node, then pages one after another, each with its length.
pub fn block(data: &[u8]) {
    fn take<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
        let (length, tail) = rest.split_first_chunk::<2>()?;
        let length = usize::from(u16::from_be_bytes(*length)).min(tail.len());
        let (part, tail) = tail.split_at(length);
        *rest = tail;
        Some(part)
    }
    let mut rest = data;
    let Some(node) = take(&mut rest) else { return };
    let pages: Vec<&[u8]> = std::iter::from_fn(|| take(&mut rest)).take(16).collect();
    let page = |cid: &Cid| pages.iter().find(|page| cid.matches(page)).map(|page| page.to_vec());
    if let Ok(block) = Block::from_nodes(node, page) {
        let nodes = block.to_nodes();
        assert_eq!(nodes.root.1, node);
        assert!(nodes.pages.iter().all(|(_, bytes)| pages.contains(&bytes.as_slice())));
        let leaf = block.descriptor.leaf();
        assert_eq!(Descriptor::from_leaf(&leaf), Ok(block.descriptor));
    }
    if let Ok((header, genesis)) = block::read_genesis_node(node) {
        assert_eq!(block::genesis_node(&header, &genesis).1, node);
    }
}

/// Seeds of [`block`].
pub fn block_seeds() -> Vec<Vec<u8>> {
    let join = |parts: &[Vec<u8>]| {
        parts
            .iter()
            .flat_map(|part| [&(part.len() as u16).to_be_bytes()[..], part].concat())
            .collect()
    };
    let descriptor = Descriptor {
        chain: ChainId::from_bytes([1; 32]),
        height: 1,
        miner: MemberId::from_bytes([2; 16]),
        parent: Cid::of(Codec::DagCbor, b"parent"),
        extra_nonce: 0,
    };
    let signature = author().sign(domain::BLOCK_SIGNATURE, b"");
    let block = Block { header: header_bytes(), signature, descriptor, records: records() };
    let nodes = block.to_nodes();
    let mut parts = vec![nodes.root.1];
    parts.extend(nodes.pages.into_iter().map(|(_, bytes)| bytes));
    vec![join(&parts), join(&[block::genesis_node(&header_bytes(), &configuration()).1])]
}

/// The text of a header: it names a header whose own text names it again.
pub fn header(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Ok(header) = text.parse::<Header>() else { return };
    assert_eq!(header.to_string(), text.to_ascii_lowercase());
    assert_eq!(header.to_string().parse(), Ok(header));
    let met = header.meets_target();
    assert!(!met || header.target().is_ok());
}

/// Seeds of [`header`].
pub fn header_seeds() -> Vec<Vec<u8>> {
    vec![header_bytes().to_string().into_bytes()]
}

/// An envelope: written back alike.
pub fn envelope(data: &[u8]) {
    if let Ok(envelope) = Envelope::decode(data) {
        assert_eq!(envelope.encode(), data);
        assert_eq!(envelope.cid(), Cid::of(Codec::DagCbor, data));
    }
}

/// Seeds of [`envelope`].
pub fn envelope_seeds() -> Vec<Vec<u8>> {
    let body = Cid::of(Codec::Raw, b"body");
    let member = MemberId::from_bytes([1; 16]);
    let report = ReportId::from_bytes([2; 16]);
    let context = BodyContext { report, version: 1, epoch: 1, patient: member, author: member };
    let metadata = Metadata::new("a.pdf", "application/pdf", 1).expect("a good name");
    let dek = Dek::from_bytes([3; 16]);
    let meta = seal_meta(&dek, &context.meta(body), &metadata, &mut Sevens).expect("it is short");
    let size = sealed_len(1).expect("it is short");
    let head = meta[..56].try_into().expect("a head");
    let suite = CipherSuite::Cobblestone128;
    vec![Envelope { suite, body, size, head, meta }.encode()]
}

/// A locked identity, as far as it stands in clear; the password hash would take too long here.
pub fn locked_identity(data: &[u8]) {
    if let Ok(info) = peek(data) {
        let keys = info.public.to_bytes();
        assert_eq!(PublicIdentity::from_bytes(&keys), Ok(info.public));
        assert!(data.windows(keys.len()).any(|window| window == keys));
    }
}

/// Seeds of [`locked_identity`].
pub fn locked_identity_seeds() -> Vec<Vec<u8>> {
    let params = LockParams::weak_for_tests();
    vec![lock(&author(), "password", &params, &mut Sevens).expect("it locks")]
}

/// A stored slot: written back alike.
pub fn slot(data: &[u8]) {
    if let Ok(slot) = Slot::from_bytes(data) {
        assert_eq!(slot.to_bytes(), data);
    }
}

/// Seeds of [`slot`].
pub fn slot_seeds() -> Vec<Vec<u8>> {
    let context = SlotContext {
        chain: ChainId::from_bytes([1; 32]),
        report: ReportId::from_bytes([2; 16]),
        version: 1,
        epoch: 1,
        role: SlotRole::Patient,
        grant: None,
        reader: MemberId::from_bytes([3; 16]),
        envelope: Cid::of(Codec::DagCbor, b"envelope"),
    };
    let dek = Dek::from_bytes([4; 16]);
    let key = AccessKey::from_bytes([5; 16]);
    vec![
        Slot::wrap_with_access_key(&dek, &key, &context).to_bytes(),
        Slot::wrap_to(&dek, &author().public().hpke_key(), &context, &mut Sevens).to_bytes(),
    ]
}

/// The text of an access key: it names a key whose own text names it again.
pub fn access_key(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Ok(key) = AccessKey::from_text(text) else { return };
    let own = key.to_text();
    let again = AccessKey::from_text(&own).expect("its own text");
    assert_eq!(again.expose(), key.expose());
}

/// Seeds of [`access_key`].
pub fn access_key_seeds() -> Vec<Vec<u8>> {
    let text = AccessKey::from_bytes([0x5a; 16]).to_text();
    vec![
        text.as_bytes().to_vec(),
        text.replace('-', " ").to_lowercase().into_bytes(),
        vec![b'a'; 32],
    ]
}

/// A signed note: written back alike; and if its text is a checkpoint, that too.
pub fn checkpoint(data: &[u8]) {
    let Ok(note) = SignedNote::from_bytes(data) else { return };
    assert_eq!(note.to_string().as_bytes(), data);
    if let Ok(checkpoint) = note.text().parse::<Checkpoint>() {
        assert_eq!(checkpoint.to_string(), note.text());
    }
}

/// Seeds of [`checkpoint`].
pub fn checkpoint_seeds() -> Vec<Vec<u8>> {
    let checkpoint =
        Checkpoint::new(&ChainId::from_bytes([1; 32]), 3, TreeHash::from_bytes([2; 32]));
    let mut note = SignedNote::new(checkpoint.to_string()).expect("a good text");
    let public = *author().public().signing_key().as_bytes();
    let key = NoteKey::cosigner("hospital", public).expect("a good name");
    note.cosign(&key, Timestamp::from_secs(4), &mut |_| [5; 64]).expect("the right kind");
    vec![note.to_string().into_bytes()]
}

/// A receipt: written back alike; checking it ends, whatever it says.
pub fn receipt(data: &[u8]) {
    let Ok(receipt) = Receipt::decode(data) else { return };
    assert_eq!(receipt.encode(), data);
    let _ = receipt.check(&ChainId::from_bytes([1; 32]));
    // About whatever chain it says it is about.
    if let Ok(Some(header)) = genesis_header(data) {
        let _ = receipt.check(&header.id().into());
    }
}

fn genesis_header(receipt: &[u8]) -> Result<Option<Header>, cbor::DecodeError> {
    use ipld_core::ipld::Ipld;
    let value: Ipld = cbor::decode(receipt, 1 << 20)?;
    let Ok(Some(Ipld::Bytes(bytes))) = value.take("genesis_header") else { return Ok(None) };
    Ok(<&[u8; 80]>::try_from(bytes.as_slice()).ok().map(Header::from_bytes))
}

/// Seeds of [`receipt`]: from the file of test vectors, since making one takes a whole chain.
pub fn receipt_seeds() -> Vec<Vec<u8>> {
    let file = include_str!("../../tests/vectors/receipts.json");
    let first = file.split("\"bytes\": \"").nth(1).and_then(|rest| rest.split('"').next());
    let hex = first.expect("a receipt in the file");
    let byte = |at| u8::from_str_radix(&hex[at..at + 2], 16).expect("hex");
    vec![(0..hex.len()).step_by(2).map(byte).collect()]
}

/// A tlog-proof: written back alike; as a receipt it has the same text and survives the other form.
pub fn tlog_proof(data: &[u8]) {
    if let Ok(proof) = TlogProof::from_bytes(data) {
        assert_eq!(proof.to_string().as_bytes(), data);
    }
    let Ok(receipt) = Receipt::from_tlog_proof(data) else { return };
    let text = receipt.to_tlog_proof().expect("it was just read");
    assert_eq!(text.as_bytes(), data);
    assert_eq!(Receipt::decode(&receipt.encode()).ok().as_ref(), Some(&receipt));
    let _ = receipt.check(&ChainId::from_bytes([1; 32]));
}

/// Seeds of [`tlog_proof`].
pub fn tlog_proof_seeds() -> Vec<Vec<u8>> {
    let receipt = Receipt::decode(&receipt_seeds()[0]).expect("a good receipt");
    vec![receipt.to_tlog_proof().expect("a good receipt").into_bytes()]
}

/// Evidence of conflicting checkpoints: written back alike; checking it ends.
pub fn checkpoint_evidence(data: &[u8]) {
    let Ok(evidence) = Evidence::decode(data) else { return };
    assert_eq!(evidence.encode(), data);
    let public = *author().public().signing_key().as_bytes();
    let key = NoteKey::cosigner("hospital", public).expect("a good name");
    let _ = evidence.check(&ChainId::from_bytes([1; 32]), &[key]);
}

/// Seeds of [`checkpoint_evidence`]: one of equal sizes, one of a fork.
pub fn checkpoint_evidence_seeds() -> Vec<Vec<u8>> {
    let chain = ChainId::from_bytes([1; 32]);
    let signing = ed25519_zebra::SigningKey::from([1; 32]);
    let key = NoteKey::cosigner("hospital", signing.verification_key().into()).expect("a name");
    let sign = |size, root| {
        let checkpoint = Checkpoint::new(&chain, size, root);
        let mut note = SignedNote::new(checkpoint.to_string()).expect("a good text");
        let time = Timestamp::from_secs(4);
        note.cosign(&key, time, &mut |m| signing.sign(m).to_bytes()).expect("the right kind");
        note
    };
    let mut nodes = MemoryNodes::default();
    for height in 0..5u8 {
        let id = BlockId::from_bytes([height; 32]);
        let new = LogTree::new(&nodes).append(height.into(), &id).expect("all there");
        nodes.extend(new);
    }
    let tree = LogTree::new(&nodes);
    let newer = sign(5, tree.root(5).expect("all there"));
    let other = TreeHash::from_bytes([9; 32]);
    let evidence = |older: &SignedNote| {
        let found = Evidence::between(older, &newer, tree, &chain, std::slice::from_ref(&key));
        found.expect("of one chain").expect("they conflict").encode()
    };
    vec![evidence(&sign(5, other)), evidence(&sign(3, other))]
}

/// A dag-pb node: written back alike.
pub fn dag_pb(data: &[u8]) {
    if let Ok(node) = PbNode::decode(data) {
        assert_eq!(node.encode(), data);
    }
}

/// A UnixFS node: its sizes add up.
pub fn unixfs(data: &[u8]) {
    assert!(FileNode::decode(data).is_err() || PbNode::decode(data).is_ok());
    match FileNode::decode(data) {
        Ok(FileNode::Leaf(bytes)) => assert!(bytes.len() <= data.len()),
        Ok(FileNode::Branch { size, children }) => {
            assert!(!children.is_empty());
            assert_eq!(size, children.iter().map(|child| child.size).sum::<u64>());
        }
        Err(_) => {}
    }
}

/// Seeds of [`dag_pb`] and [`unixfs`]: the nodes of a file, leaves and branches.
pub fn node_seeds() -> Vec<Vec<u8>> {
    use medledger_ipfs::unixfs::{CidVersion, Leaves};
    let profile = Profile::custom(CidVersion::V0, Leaves::DagPb, 4, 2).expect("a good profile");
    let mut nodes = Vec::new();
    let mut keep = |_: &Cid, bytes: &[u8]| {
        nodes.push(bytes.to_vec());
        Ok::<(), Infallible>(())
    };
    let mut builder = Builder::new(profile);
    let _ = builder.write(b"a report of some length", &mut keep);
    let _ = builder.finish(&mut keep);
    nodes
}
