//! What becomes of some channels' publications is counted apart.

use hub::{Account, Class, DeliveryPolicy, MemberId, OutboxLimits, Share, Start};

use crate::support::{DROP_OLDEST, channel, hub, keyed, publication, source};

const ALICE: MemberId = MemberId(0);

const FOUR: OutboxLimits = OutboxLimits {
    bytes: 1 << 20,
    items: 4,
};

#[test]
fn accounts_hold_what_became_of_their_channels_alone() {
    let mut hub = hub(FOUR, 1);
    let [one, two] = [0, 1].map(|number| Account::new(number).expect("there are many"));
    let of = |account, class| DeliveryPolicy {
        account,
        class,
        ..DROP_OLDEST
    };
    let policies = [
        of(Some(one), Class::All),
        of(Some(two), Class::Latest),
        of(None, Class::All),
    ];
    for (alias, policy) in (1..).zip(policies) {
        let name = channel(&format!("room.{alias}"));
        let entered = hub.subscribe(ALICE, &name, source(alias, policy), Start::Now);
        entered.expect("new");
    }
    hub.publish(&publication(3, 1, 10));
    hub.fan_out();
    hub.stalled(ALICE);
    for offset in 1..=9 {
        hub.publish(&publication(1, offset, 10));
        hub.publish(&keyed(2, "a", offset));
        hub.fan_out();
        hub.feed();
    }
    while !hub.outbox(ALICE).is_empty() {
        let bytes = hub.outbox(ALICE).gather(&mut Vec::new(), usize::MAX).len();
        hub.wrote(ALICE, bytes);
        hub.feed();
    }
    let (first, second) = (hub.share(one), hub.share(two));
    assert!(first.dropped > 0 && first.conflated == 0, "{first:?}");
    assert!(second.conflated > 0 && second.dropped == 0, "{second:?}");
    assert_eq!(second.delivered + second.conflated, 9);
    let all = hub.totals();
    // That of the third may have been let go, too.
    assert!(all.dropped - first.dropped <= 1, "{all:?}");
    assert_eq!(all.conflated, second.conflated);
    assert_eq!(all.delivered, first.delivered + second.delivered + 1);
    let last = Account::new(Account::MAX - 1).expect("the last one");
    assert_eq!(hub.share(last), Share::default());
    assert_eq!(Account::new(Account::MAX), None);
}
