//! DAG-CBOR as a tree that can be changed anywhere and written again, canonical or not.

use crate::cases::Random;

/// A value; what the tests do not look into stays as its bytes.
#[derive(Clone, Debug)]
pub(crate) enum Tree {
    Uint(u64),
    Bytes(Vec<u8>),
    Text(String),
    List(Vec<Tree>),
    Map(Vec<(Tree, Tree)>),
    Raw(Vec<u8>),
}

impl Tree {
    /// Reads good DAG-CBOR; `None` for anything else.
    pub(crate) fn read(bytes: &[u8]) -> Option<Self> {
        let mut rest = bytes;
        let tree = Self::take(&mut rest)?;
        rest.is_empty().then_some(tree)
    }

    fn take(rest: &mut &[u8]) -> Option<Self> {
        let (first, tail) = rest.split_first()?;
        let (major, info) = (first >> 5, first & 31);
        if major == 7 {
            *rest = tail;
            return Some(Self::Raw(vec![*first]));
        }
        let width = match info {
            0..=23 => 0,
            24..=27 => 1usize << (info - 24),
            _ => return None,
        };
        let (head, tail) = tail.split_at_checked(width)?;
        let number = match width {
            0 => u64::from(info),
            _ => head.iter().fold(0, |n, b| n << 8 | u64::from(*b)),
        };
        *rest = tail;
        let count = usize::try_from(number).ok()?;
        Some(match major {
            0 => Self::Uint(number),
            2 | 3 => {
                let (data, tail) = rest.split_at_checked(count)?;
                *rest = tail;
                if major == 2 {
                    Self::Bytes(data.to_vec())
                } else {
                    Self::Text(String::from_utf8(data.to_vec()).ok()?)
                }
            }
            4 => Self::List((0..count).map(|_| Self::take(rest)).collect::<Option<_>>()?),
            5 => {
                let pair = |_| Some((Self::take(rest)?, Self::take(rest)?));
                Self::Map((0..count).map(pair).collect::<Option<_>>()?)
            }
            _ => return None,
        })
    }

    pub(crate) fn write(&self) -> Vec<u8> {
        let head = |major: u8, number: u64| match number {
            0..24 => vec![major << 5 | number as u8],
            24..0x100 => vec![major << 5 | 24, number as u8],
            0x100..0x1_0000 => [&[major << 5 | 25], &(number as u16).to_be_bytes()[..]].concat(),
            0x1_0000..0x1_0000_0000 => {
                [&[major << 5 | 26], &(number as u32).to_be_bytes()[..]].concat()
            }
            _ => [&[major << 5 | 27], &number.to_be_bytes()[..]].concat(),
        };
        let with = |major, data: &[u8]| [head(major, data.len() as u64), data.to_vec()].concat();
        match self {
            Self::Uint(number) => head(0, *number),
            Self::Bytes(data) => with(2, data),
            Self::Text(text) => with(3, text.as_bytes()),
            Self::List(items) => {
                let items: Vec<u8> = items.iter().flat_map(Self::write).collect();
                let Self::List(list) = self else { unreachable!() };
                [head(4, list.len() as u64), items].concat()
            }
            Self::Map(pairs) => {
                let mut pairs: Vec<_> = pairs.iter().map(|(k, v)| (k.write(), v.write())).collect();
                pairs.sort_by_key(|(key, _)| (key.len(), key.clone()));
                let body: Vec<u8> = pairs.iter().flat_map(|(k, v)| [&k[..], v].concat()).collect();
                [head(5, pairs.len() as u64), body].concat()
            }
            Self::Raw(bytes) => bytes.clone(),
        }
    }

    /// Changes one thing somewhere; bytes that are DAG-CBOR themselves are often looked into.
    pub(crate) fn change(&mut self, random: &mut Random) {
        match self {
            Self::List(items) if !items.is_empty() && random.below(8) > 0 => {
                let at = random.below(items.len());
                items[at].change(random);
            }
            Self::Map(pairs) if !pairs.is_empty() && random.below(8) > 0 => {
                let at = random.below(pairs.len());
                pairs[at].1.change(random);
            }
            Self::Bytes(data) => {
                let inner =
                    Self::read(data).filter(|tree| matches!(tree, Self::List(_) | Self::Map(_)));
                match inner {
                    Some(mut tree) if random.below(8) > 0 => {
                        tree.change(random);
                        *data = tree.write();
                    }
                    _ => random.change_bytes(data),
                }
            }
            Self::Uint(number) => {
                *number = match random.below(7) {
                    0 => number.wrapping_add(1),
                    1 => number.wrapping_sub(1),
                    2 => 0,
                    3 => u64::MAX,
                    4 => 1 << random.below(64),
                    5 => *number ^ 1 << random.below(8),
                    _ => random.next(),
                }
            }
            Self::Text(text) => *text = random.change_text(text),
            Self::List(items) => match random.below(3) {
                0 => drop(items.pop()),
                1 => items.push(items.first().cloned().unwrap_or(Self::Uint(0))),
                _ => items.reverse(),
            },
            Self::Map(pairs) => match random.below(4) {
                0 => drop(pairs.pop()),
                1 => pairs.push((Self::Text("x".into()), Self::Uint(0))),
                2 if pairs.len() > 1 => {
                    let (a, b) = (random.below(pairs.len()), random.below(pairs.len()));
                    let value = pairs[a].1.clone();
                    pairs[a].1 = std::mem::replace(&mut pairs[b].1, value);
                }
                _ => {
                    *self = Self::Raw(vec![[0xf4, 0xf6, 0x20, 0xa0, 0x80, 0xf7][random.below(6)]]);
                }
            },
            Self::Raw(bytes) => *bytes = vec![[0x00, 0xf5, 0xf6, 0x40, 0x60][random.below(5)]],
        }
    }
}
