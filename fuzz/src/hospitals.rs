//! Cards of hospitals and what hospitals tell one another.

use medledger_core::hospital::{Application, HospitalCard};
use medledger_core::identity::Identity;
use medledger_core::ids::ChainId;
use medledger_core::keys::{HpkeSecretKey, SigningKey};
use medledger_core::news::News;

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
