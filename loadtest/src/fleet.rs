//! All connections of a run: this process's share and those of its children.

use std::io::{BufReader, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, TryRecvError};

use anyhow::{Context, Result, bail};

use crate::clock;
use crate::outcome::Outcome;
use crate::share::{Order, Plan, Share, TURN, Word, WorkPlan, read_lines};

/// Source addresses kept apart between two shares.
const SOURCES: usize = 8;
/// A child that does not answer for so long has failed.
const PATIENCE: u64 = 120 * clock::SECOND;

/// Every share, driven together.
pub(crate) struct Fleet {
    pub(crate) local: Share,
    children: Vec<Remote>,
}

/// A share in another process.
struct Remote {
    child: Child,
    orders: Option<ChildStdin>,
    words: Receiver<Word>,
    done: u64,
    sent: u64,
}

// === impl Fleet ===

impl Fleet {
    /// Splits the plan over so many processes, this one among them.
    pub(crate) fn start(plan: &Plan, processes: usize) -> Result<Self> {
        let mut shares = split(plan, processes.max(1));
        let local = Share::new(shares.remove(0))?;
        let children = shares.iter().map(Remote::start).collect::<Result<_>>()?;
        Ok(Self { local, children })
    }

    /// Opens all connections; the outcome says how many are ready.
    pub(crate) fn open(&mut self) -> Result<Outcome> {
        self.order(Order::Open)?;
        self.local.open();
        let mut sum = self.local.outcome();
        for word in self.answers()? {
            let Word::Opened(outcome) = word else {
                bail!("a client process opened nothing")
            };
            sum.add(&outcome);
        }
        Ok(sum)
    }

    /// Clears all counts and starts what is measured.
    pub(crate) fn begin(&mut self) -> Result<()> {
        self.order(Order::Begin)?;
        self.answers()?;
        for remote in &mut self.children {
            (remote.done, remote.sent) = (0, 0);
        }
        self.local.begin();
        Ok(())
    }

    /// One turn of at most so many nanoseconds.
    pub(crate) fn turn(&mut self, nanos: u64) -> Result<()> {
        self.local.turn(if self.children.is_empty() {
            nanos
        } else {
            nanos.min(TURN)
        });
        self.children.iter_mut().try_for_each(Remote::listen)
    }

    /// Messages (or connections) done since [`Self::begin`].
    pub(crate) fn done(&mut self) -> u64 {
        self.local.tally().done + self.children.iter().map(|remote| remote.done).sum::<u64>()
    }

    /// Requests sent since [`Self::begin`].
    pub(crate) fn sent(&mut self) -> u64 {
        self.local.tally().sent + self.children.iter().map(|remote| remote.sent).sum::<u64>()
    }

    /// Starts nothing new from here on.
    pub(crate) fn stop(&mut self) -> Result<()> {
        self.local.stop();
        self.order(Order::Stop)
    }

    /// Adds everything up; the children end.
    pub(crate) fn finish(mut self) -> Result<Outcome> {
        self.order(Order::Finish)?;
        let mut sum = self.local.outcome();
        for word in self.answers()? {
            let Word::Finished(outcome) = word else {
                bail!("a client process did not finish")
            };
            sum.add(&outcome);
        }
        Ok(sum)
    }

    /// The processes that load the server.
    pub(crate) fn pids(&self) -> Vec<u32> {
        self.children
            .iter()
            .map(|remote| remote.child.id())
            .chain([std::process::id()])
            .collect()
    }

    /// Turns until everything sent came back, or nothing did for `patience` seconds.
    pub(crate) fn drain(
        &mut self,
        patience: f64,
        expected: impl Fn(&mut Self) -> u64,
    ) -> Result<()> {
        let (mut seen, mut moved_at) = (self.done(), clock::now());
        while self.done() < expected(self) && clock::now() - moved_at < clock::nanos(patience) {
            self.turn(TURN)?;
            if self.done() != seen {
                (seen, moved_at) = (self.done(), clock::now());
            }
        }
        Ok(())
    }

    fn order(&mut self, order: Order) -> Result<()> {
        self.children
            .iter_mut()
            .try_for_each(|remote| remote.order(order))
    }

    /// One answer of each child; the local connections stay served.
    fn answers(&mut self) -> Result<Vec<Word>> {
        let (mut words, start) = (Vec::new(), clock::now());
        for index in 0..self.children.len() {
            loop {
                match self.children[index].words.try_recv() {
                    Ok(Word::Progress { .. }) => {}
                    Ok(word) => break words.push(word),
                    Err(TryRecvError::Disconnected) => bail!("a client process ended"),
                    Err(TryRecvError::Empty) if clock::now() - start > PATIENCE => {
                        bail!("a client process does not answer")
                    }
                    Err(TryRecvError::Empty) => self.local.turn(TURN),
                }
            }
        }
        Ok(words)
    }
}

/// One plan for each process: equal shares of the connections and rates.
fn split(plan: &Plan, processes: usize) -> Vec<Plan> {
    let part =
        |total: usize, index: usize| total / processes + usize::from(index < total % processes);
    let one = |index| {
        let mut share = plan.clone();
        share.connections = part(plan.connections, index);
        share.first_source = plan.first_source + index * SOURCES;
        share.inflight = part(plan.inflight, index).max(1);
        share.connect_rate = plan.connect_rate / processes as f64;
        match &mut share.work {
            WorkPlan::Fanout { stalled, .. } => *stalled = part(*stalled, index),
            WorkPlan::Echo { rate, .. } => *rate /= processes as f64,
            WorkPlan::Idle { .. } | WorkPlan::Storm => {}
        }
        share
    };
    (0..processes).map(one).collect()
}

// === impl Remote ===

impl Remote {
    fn start(plan: &Plan) -> Result<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .arg("share")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("a client process")?;
        let mut orders = child.stdin.take().context("its standard input")?;
        let words = read_lines(
            "words",
            BufReader::new(child.stdout.take().context("its standard output")?),
        )?;
        writeln!(orders, "{}", serde_json::to_string(plan)?)?;
        Ok(Self {
            child,
            orders: Some(orders),
            words,
            done: 0,
            sent: 0,
        })
    }

    fn order(&mut self, order: Order) -> Result<()> {
        let orders = self
            .orders
            .as_mut()
            .context("orders end with the process")?;
        Ok(writeln!(orders, "{}", serde_json::to_string(&order)?)?)
    }

    fn listen(&mut self) -> Result<()> {
        loop {
            match self.words.try_recv() {
                Ok(Word::Progress { done, sent }) => (self.done, self.sent) = (done, sent),
                Ok(_) => {}
                Err(TryRecvError::Empty) => return Ok(()),
                Err(TryRecvError::Disconnected) => bail!("a client process ended"),
            }
        }
    }
}

impl Drop for Remote {
    fn drop(&mut self) {
        // The end of its orders ends the process.
        self.orders = None;
        let _ = self.child.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_sum_to_the_plan() {
        let plan = Plan {
            url: "ws://127.0.0.1:1/".to_owned(),
            token: String::new(),
            token_in_query: false,
            channel: "demo.load".to_owned(),
            connections: 10,
            first_source: 0,
            connect_rate: 30.0,
            inflight: 8,
            work: WorkPlan::Fanout {
                size: 128,
                stalled: 4,
            },
        };
        let shares = split(&plan, 3);
        assert_eq!(
            shares
                .iter()
                .map(|share| share.connections)
                .collect::<Vec<_>>(),
            [4, 3, 3]
        );
        assert_eq!(
            shares.iter().map(|share| share.connect_rate).sum::<f64>(),
            30.0
        );
        let stalled = shares.iter().map(|share| match share.work {
            WorkPlan::Fanout { stalled, .. } => stalled,
            _ => 0,
        });
        assert_eq!(stalled.sum::<usize>(), 4);
        assert!(shares[0].first_source != shares[1].first_source);
    }
}
