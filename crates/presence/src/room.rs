//! A channel that has members at this gateway.

use bus::SubscriptionToken;
use foldhash::HashMap;
use wire::{GatewayId, client::PresenceChange, gateway::PresencePart};

use crate::{
    crowd::Crowd,
    own::Own,
    part::{Heard, Part},
    settings::Settings,
    told::{Audience, SAMPLE, Summary, Told},
};

/// Where so many are, numbers are told once in so many ticks.
const NUMBERS_EVERY: u32 = 5;

/// Everything about one channel.
#[derive(Debug)]
pub(crate) struct Room {
    pub(crate) own: Own,
    others: HashMap<GatewayId, Part>,
    pub(crate) crowd: Crowd,
    /// Connections here that are told what happens.
    pub(crate) watchers: usize,
    /// Some of them have had no snapshot yet.
    pub(crate) newcomers: bool,
    /// How clients were told last.
    telling: Telling,
    pub(crate) stage: Stage,
    /// The others are to be told the version.
    pub(crate) head_due: bool,
    /// The others are to tell theirs.
    pub(crate) calls: bool,
}

/// How far a room is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// The bus has to be asked.
    New,
    /// It was.
    Asked,
    /// The others have been called, and their answers come.
    Settling,
    /// What is known is all there is.
    Settled,
}

/// What the bus does for a room.
#[derive(Debug, Default)]
pub(crate) struct Tokens {
    pub(crate) words: Option<SubscriptionToken>,
    pub(crate) questions: Option<SubscriptionToken>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Telling {
    Names,
    /// The numbers told last, and ticks until others may be.
    Numbers {
        sessions: u64,
        users: u64,
        wait: u32,
    },
}

// === impl Room ===

impl Room {
    pub(crate) fn new(version: u64) -> Self {
        Self {
            own: Own::new(version),
            others: HashMap::default(),
            crowd: Crowd::default(),
            watchers: 0,
            newcomers: false,
            telling: Telling::Names,
            stage: Stage::New,
            head_due: false,
            calls: false,
        }
    }

    /// The bus delivers what others say from now on.
    pub(crate) fn opened(&mut self) {
        self.stage = Stage::Settling;
        self.calls = true;
    }

    /// The answers of the others have had their time; whether they were awaited.
    pub(crate) fn settle(&mut self) -> bool {
        if self.stage != Stage::Settling {
            return false;
        }
        self.stage = Stage::Settled;
        // Who opened meanwhile could not ask us yet.
        self.head_due = true;
        true
    }

    /// Takes in what another gateway says.
    pub(crate) fn hear(&mut self, gateway: &GatewayId, word: &PresencePart) -> Heard {
        self.head_due |= word.calls;
        let heard = match self.others.get_mut(gateway) {
            Some(part) => part.hear(word, &mut self.crowd),
            None => {
                let (part, heard) = Part::begin(word, &mut self.crowd);
                if let Some(part) = part {
                    self.others.insert(gateway.clone(), part);
                }
                heard
            }
        };
        if word.sessions == 0 && heard != Heard::Nothing {
            self.bury(gateway);
            return Heard::Changed;
        }
        heard
    }

    /// The gateway has no members any more; whether it had some.
    pub(crate) fn bury(&mut self, gateway: &GatewayId) -> bool {
        let part = self.others.remove(gateway);
        let found = part.is_some();
        if let Some(part) = part {
            part.end(&mut self.crowd);
        }
        found
    }

    /// The others are to tell their versions. Whose do not come will be asked for.
    pub(crate) fn call(&mut self) {
        self.calls = true;
        drop(self.doubtful());
    }

    /// Gateways whose parts have to be asked for, because they are silent. To be
    /// called now and then.
    pub(crate) fn doubtful(&mut self) -> Vec<GatewayId> {
        let others = self.others.iter_mut();
        let silent = others.filter_map(|(gateway, part)| part.is_doubtful().then_some(gateway));
        silent.cloned().collect()
    }

    /// Gateways that only count their members.
    pub(crate) fn counting(&self) -> impl Iterator<Item = &GatewayId> {
        let others = self.others.iter();
        others.filter_map(|(gateway, part)| part.counted().map(|_| gateway))
    }

    pub(crate) fn sessions(&self) -> u64 {
        let counted = self.others.values().filter_map(Part::counted);
        let counted: u64 = counted.map(|(sessions, _)| sessions).sum();
        self.crowd.sessions() as u64 + counted
    }

    fn users(&self) -> u64 {
        let counted = self.others.values().filter_map(Part::counted);
        let counted: u64 = counted.map(|(_, users)| users).sum();
        self.crowd.users() as u64 + counted
    }

    /// Who is there, at most so many of them by name.
    pub(crate) fn summary(&self, limit: usize) -> Summary {
        let members: Vec<_> = self.crowd.members().take(limit).cloned().collect();
        let sessions = self.sessions();
        Summary {
            sessions,
            users: self.users(),
            sampled: (members.len() as u64) < sessions,
            members,
        }
    }

    /// What clients are to be told now, and whether something is left for later.
    pub(crate) fn tell(&mut self, settings: &Settings) -> (Vec<Told>, bool) {
        if self.stage != Stage::Settled {
            // It is asked again when it has settled.
            return (Vec::new(), false);
        }
        let is_large = self.is_large(settings);
        let mut told = Vec::new();
        let was_large = self.telling != Telling::Names;
        let changes = self.crowd.take_changes();
        let later = match is_large {
            _ if self.watchers == 0 => false,
            true if was_large => !self.tell_numbers(&mut told),
            false if !was_large && !changes.lost => {
                if !changes.joined.is_empty() || !changes.left.is_empty() {
                    let mut change = self.numbers();
                    change.joined = changes.joined.iter().map(|it| it.for_clients()).collect();
                    change.left = changes.left.iter().map(|it| it.for_clients()).collect();
                    let audience = Audience::Others;
                    told.push(Told { audience, change });
                }
                false
            }
            _ => {
                told.push(self.snapshot(Audience::Everybody, is_large));
                self.newcomers = false;
                false
            }
        };
        self.telling = match self.telling {
            _ if !is_large => Telling::Names,
            Telling::Names => Telling::Numbers {
                sessions: self.sessions(),
                users: self.users(),
                wait: NUMBERS_EVERY,
            },
            numbers => numbers,
        };
        if std::mem::take(&mut self.newcomers) && self.watchers > 0 {
            told.push(self.snapshot(Audience::Newcomers, is_large));
            self.differ();
        }
        (told, later)
    }

    /// Newcomers know numbers that the others have yet to be told: should those be again
    /// what they were told last, newcomers have to hear it.
    fn differ(&mut self) {
        let now = (self.sessions(), self.users());
        if let Telling::Numbers {
            sessions, users, ..
        } = &mut self.telling
            && (*sessions, *users) != now
        {
            (*sessions, *users) = (u64::MAX, u64::MAX);
        }
    }

    /// Tells the numbers if they are others and it is time; `false` if it is not.
    fn tell_numbers(&mut self, told: &mut Vec<Told>) -> bool {
        let change = self.numbers();
        let Telling::Numbers {
            sessions,
            users,
            wait,
        } = &mut self.telling
        else {
            return true;
        };
        *wait = wait.saturating_sub(1);
        if (*sessions, *users) == (change.sessions, change.users) {
            return *wait == 0;
        }
        if *wait > 0 {
            return false;
        }
        (*sessions, *users, *wait) = (change.sessions, change.users, NUMBERS_EVERY);
        let audience = Audience::Others;
        told.push(Told { audience, change });
        true
    }

    /// Whether there are too many to name; where it was so it takes fewer to end it.
    fn is_large(&self, settings: &Settings) -> bool {
        let limit = match self.telling {
            Telling::Names => settings.named,
            Telling::Numbers { .. } => settings.named / 4 * 3,
        };
        self.sessions() > limit as u64
    }

    fn numbers(&self) -> PresenceChange {
        PresenceChange {
            sessions: self.sessions(),
            users: self.users(),
            sampled: self.telling != Telling::Names,
            ..PresenceChange::default()
        }
    }

    fn snapshot(&self, audience: Audience, is_large: bool) -> Told {
        let most = if is_large { SAMPLE } else { usize::MAX };
        let members = self.crowd.members().take(most);
        let change = PresenceChange {
            joined: members.map(|it| it.for_clients()).collect(),
            snapshot: true,
            sampled: is_large,
            ..self.numbers()
        };
        Told { audience, change }
    }
}
