//! Cards of hospitals, what hospitals tell one another, and what patients give them.

use crate::structures::Sevens;
use medledger_core::genesis::{Consensus, Founder, Genesis};
use medledger_core::hospital::{Application, HospitalCard, HospitalSet, Proposal, ProposalError};
use medledger_core::identity::{Identity, KeyConsent};
use medledger_core::ids::{ChainId, MemberId};
use medledger_core::keys::{HpkeSecretKey, SigningKey};
use medledger_core::news::News;
use medledger_core::record::HospitalChange;

fn chain() -> ChainId {
    ChainId::from_bytes([9; 32])
}

/// A card: written back alike; nobody but the holders of both keys makes one that counts.
pub fn hospital_card(data: &[u8]) {
    let Ok(card) = HospitalCard::decode(data) else { return };
    assert_eq!(card.encode(), data);
    let counts = [None, Some(&chain())].into_iter().any(|c| card.application.check(c).is_ok());
    // The name is not signed.
    let known = |seed: &Vec<u8>| {
        HospitalCard::decode(seed).is_ok_and(|seed| seed.application == card.application)
    };
    assert!(!counts || hospital_card_seeds().iter().any(known), "a forged card");
}

/// Seeds of [`hospital_card`].
pub fn hospital_card_seeds() -> Vec<Vec<u8>> {
    let mining = SigningKey::from_seed(&[1; 32]);
    let identity = Identity::from_keys(
        SigningKey::from_seed(&[2; 32]),
        HpkeSecretKey::from_bytes(medledger_core::keys::HpkeAlgorithm::X25519, &[3; 32]),
    );
    let card = |chain| HospitalCard::new("B".into(), Application::new(chain, &identity, &mining));
    vec![card(None).encode(), card(Some(chain())).encode()]
}

fn member(seed: u8) -> Identity {
    Identity::from_keys(
        SigningKey::from_seed(&[seed; 32]),
        HpkeSecretKey::from_bytes(medledger_core::keys::HpkeAlgorithm::X25519, &[seed; 32]),
    )
}

/// Two founders.
fn set() -> HospitalSet {
    let founder = |seed: u8| Founder {
        identity: member(seed).public().clone(),
        mining: SigningKey::from_seed(&[seed + 100; 32]).verifying_key(),
    };
    let mut genesis = Genesis::single(founder(11), Consensus::Log);
    genesis.founders.push(founder(12));
    HospitalSet::founders(&genesis)
}

/// A proposal: written back alike; nobody approves for a hospital, nor something else than it did.
pub fn proposal(data: &[u8]) {
    let Ok(proposal) = Proposal::decode(data) else { return };
    assert_eq!(proposal.encode(), data);
    let known = |id: &MemberId| -> Result<_, ProposalError> {
        let founders = [11, 12].map(|seed| member(seed).public().clone());
        Ok(founders.into_iter().find(|identity| identity.member_id() == *id))
    };
    let counts = proposal.check(&chain(), &set(), known).is_ok();
    if counts && proposal.approved().len() > 0 {
        let approved_here = |seed: &Vec<u8>| {
            Proposal::decode(seed).is_ok_and(|seed| seed.change == proposal.change)
        };
        assert!(proposal_seeds().iter().any(approved_here), "a forged approval");
    }
}

/// Seeds of [`proposal`].
pub fn proposal_seeds() -> Vec<Vec<u8>> {
    let admission =
        Application::new(Some(chain()), &member(13), &SigningKey::from_seed(&[113; 32]));
    [HospitalChange::from(admission), HospitalChange::Expel(member(12).id())]
        .into_iter()
        .flat_map(|change| {
            let open = Proposal::new(chain(), &set(), "C".into(), change).expect("a proposal");
            let mut approved = open.clone();
            approved.approve(&set(), &member(11));
            approved.approve(&set(), &member(12));
            [open.encode(), approved.encode()]
        })
        .collect()
}

/// A patient's consent to new keys: written back alike; nobody consents for the patient, nor to other keys.
pub fn key_consent(data: &[u8]) {
    let Ok(consent) = KeyConsent::decode(data) else { return };
    assert_eq!(consent.encode(), data);
    let patient = member(21);
    let counts = |suspended| {
        consent.check(&consent.chain(), &patient.id(), patient.public(), suspended).is_ok()
    };
    assert!(!counts(false), "keys that are not suspended");
    if counts(true) {
        let given_here = |seed: &Vec<u8>| {
            KeyConsent::decode(seed)
                .is_ok_and(|seed| (seed.chain(), seed.next()) == (consent.chain(), consent.next()))
        };
        assert!(key_consent_seeds().iter().any(given_here), "a forged consent");
    }
}

/// Seeds of [`key_consent`]: one that counts, one of another patient, and one for another chain.
pub fn key_consent_seeds() -> Vec<Vec<u8>> {
    let given = |seed, chain| {
        let (_, consent) =
            member(seed).consent_to_next(&chain, &mut Sevens).expect("no former keys");
        consent.encode()
    };
    vec![given(21, chain()), given(22, chain()), given(21, ChainId::from_bytes([8; 32]))]
}

/// News: written back alike.
pub fn news(data: &[u8]) {
    if let Ok(news) = News::decode(data) {
        assert_eq!(news.encode(), data);
    }
}

/// Seeds of [`news`].
pub fn news_seeds() -> Vec<Vec<u8>> {
    let mut full = News::new(chain());
    full.records.push(vec![1; 40].into());
    full.votes = crate::votes::vote_seeds().into_iter().map(Into::into).collect();
    full.certificates = crate::votes::certificate_seeds().into_iter().map(Into::into).collect();
    full.checkpoints.push("medledger/\n1\nAA==\n".into());
    vec![News::new(chain()).encode(), full.encode()]
}
