//! Votes counted.

use super::{
    Ballot, BlockTree, Certificate, CertificateError, Evidence, Members, Phase, VerifiedVote,
    VoterState,
};
use crate::ids::MemberId;
use crate::registry::limit;
use std::collections::BTreeMap;

/// Votes of one hospital in one phase. Of a round with more than two different ones, two are kept: they
/// convict it, and no honest hospital needs the third.
type Book = BTreeMap<u64, Vec<VerifiedVote>>;

/// What became of a vote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Inserted {
    /// It counts.
    New,
    /// It was known.
    Known,
    /// The hospital has voted otherwise in this phase and round: there is [`Evidence`] now.
    Double,
    /// It is older than the rounds of this hospital that are kept, or of another set of hospitals.
    Ignored,
}

/// The votes of one set of hospitals: what is justified, what is decided, who voted twice.
///
/// Bounded, whatever comes: of each hospital and phase the newest [`limit::VOTE_ROUNDS`] rounds are kept, two
/// votes in each, and as many justified blocks. Someone who votes in rounds far ahead pushes out only votes of
/// its own.
#[derive(Clone, Debug)]
pub struct Tally {
    members: Members,
    books: BTreeMap<(MemberId, u8), Book>,
    ballots: BTreeMap<u64, Ballot>,
    justified: Option<Certificate>,
    decided: Option<Certificate>,
    evidence: BTreeMap<MemberId, Evidence>,
}

impl Tally {
    /// No votes yet.
    #[must_use]
    pub fn new(members: Members) -> Self {
        let (books, ballots) = (BTreeMap::new(), BTreeMap::new());
        let evidence = BTreeMap::new();
        Self { members, books, ballots, justified: None, decided: None, evidence }
    }

    /// What a voter knew for certain when it made its state durable; the caller's word is taken for the signatures.
    #[must_use]
    pub fn restored(members: Members, state: &VoterState) -> Self {
        let mut tally = Self::new(members);
        tally.restore(state);
        tally
    }

    /// Takes over the certificates of a stored state; the caller's word is taken for the signatures.
    pub fn restore(&mut self, state: &VoterState) {
        for certificate in [&state.justified, &state.decided].into_iter().flatten() {
            self.keep(certificate);
        }
    }

    /// The hospitals whose votes are counted.
    #[must_use]
    pub const fn members(&self) -> &Members {
        &self.members
    }

    /// Counts a vote.
    pub fn insert(&mut self, vote: VerifiedVote) -> Inserted {
        let said = *vote.vote();
        let (set, chain) = (self.members.set(), self.members.chain());
        if (said.set, said.chain) != (set, chain) || !self.members.contains(&said.voter) {
            return Inserted::Ignored;
        }
        let book = self.books.entry((said.voter, said.phase.code())).or_default();
        let round = said.ballot.round;
        let oldest = book.first_key_value().map_or(0, |(oldest, _)| *oldest);
        if book.len() >= limit::VOTE_ROUNDS && round < oldest {
            return Inserted::Ignored;
        }
        let kept = book.entry(round).or_default();
        if kept.iter().any(|known| *known.vote() == said) {
            return Inserted::Known;
        }
        let double = kept.first().copied();
        if kept.len() < 2 {
            kept.push(vote);
        }
        if book.len() > limit::VOTE_ROUNDS {
            book.pop_first();
        }
        if let Some(first) = double {
            let evidence = Evidence::double(*first.signed(), *vote.signed());
            self.evidence.entry(said.voter).or_insert(evidence);
        }
        self.count(said.phase.code(), said.ballot);
        if double.is_some() { Inserted::Double } else { Inserted::New }
    }

    /// Takes over what a certificate shows, after checking it, whatever votes are kept here.
    ///
    /// Hospitals pass on certificates beside single votes: of one that votes three times in a round only two votes are
    /// kept, which need not be those that a quorum lacks.
    ///
    /// # Errors
    /// See [`CertificateError`].
    pub fn insert_certificate(
        &mut self,
        certificate: &Certificate,
    ) -> Result<(), CertificateError> {
        for vote in certificate.verify(&self.members)? {
            self.insert(vote);
        }
        self.keep(certificate);
        Ok(())
    }

    fn count(&mut self, phase: u8, ballot: Ballot) {
        let mut votes = Vec::new();
        for hospital in self.members.ids() {
            let kept = self.books.get(&(*hospital, phase)).and_then(|book| book.get(&ballot.round));
            let mut kept = kept.into_iter().flatten();
            votes.extend(kept.find(|vote| vote.vote().ballot == ballot).map(|vote| *vote.signed()));
        }
        if votes.len() >= self.members.quorum()
            && let Ok(certificate) = Certificate::new(votes)
        {
            self.keep(&certificate);
        }
    }

    fn keep(&mut self, certificate: &Certificate) {
        let ballot = certificate.ballot();
        let place = if certificate.is_precommit() {
            &mut self.decided
        } else {
            self.ballots.entry(ballot.round).or_insert(ballot);
            if self.ballots.len() > limit::VOTE_ROUNDS {
                self.ballots.pop_first();
            }
            &mut self.justified
        };
        if place.as_ref().is_none_or(|kept| kept.ballot().round < ballot.round) {
            *place = Some(certificate.clone());
        }
    }

    /// The newest justified block, with its proof.
    #[must_use]
    pub const fn justified(&self) -> Option<&Certificate> {
        self.justified.as_ref()
    }

    /// The newest decided block, with its proof.
    #[must_use]
    pub const fn decided(&self) -> Option<&Certificate> {
        self.decided.as_ref()
    }

    /// What was justified in later rounds than this, oldest first.
    pub fn justified_after(&self, round: u64) -> impl Iterator<Item = &Ballot> {
        self.ballots.range(round.saturating_add(1)..).map(|(_, ballot)| ballot)
    }

    /// All votes kept, for passing on.
    pub fn votes(&self) -> impl Iterator<Item = &VerifiedVote> {
        self.books.values().flat_map(BTreeMap::values).flatten()
    }

    /// The newest prevote and the newest precommit of a hospital that are known.
    #[must_use]
    pub fn newest_of(&self, hospital: &MemberId) -> [Option<Ballot>; 2] {
        [1, 2].map(|phase| {
            let (_, kept) = self.books.get(&(*hospital, phase))?.last_key_value()?;
            kept.first().map(|vote| vote.vote().ballot)
        })
    }

    /// Evidence against hospitals that voted twice in one round, one piece for each.
    pub fn evidence(&self) -> impl Iterator<Item = &Evidence> {
        self.evidence.values()
    }

    /// Evidence against one hospital, if it voted twice in one round.
    #[must_use]
    pub fn evidence_against(&self, hospital: &MemberId) -> Option<&Evidence> {
        self.evidence.get(hospital)
    }

    /// A precommit and a later prevote of one hospital that ignores it, if there are such: with the
    /// headers between the two blocks they are evidence, see [`Evidence::ignored_lock`].
    ///
    /// # Errors
    /// When the tree cannot be read.
    pub fn find_ignored_lock<T: BlockTree>(
        &self,
        tree: &T,
    ) -> Result<Option<(VerifiedVote, VerifiedVote)>, T::Error> {
        for hospital in self.members.ids() {
            let book = |phase| self.books.get(&(*hospital, phase)).into_iter();
            let all = |phase| book(phase).flat_map(BTreeMap::values).flatten();
            for (precommit, prevote) in all(2).flat_map(|a| all(1).map(move |b| (a, b))) {
                let (locked, later) = (precommit.vote().ballot, prevote.vote());
                let Phase::Prevote { source } = later.phase else { continue };
                let source = source.map_or(0, |source| source.round);
                let around = source < locked.round && locked.round < later.ballot.round;
                if around
                    && tree.block(&later.ballot.target.block)?.is_some()
                    && !tree.descends(&later.ballot.target.block, &locked.target)?
                {
                    return Ok(Some((*precommit, *prevote)));
                }
            }
        }
        Ok(None)
    }
}
