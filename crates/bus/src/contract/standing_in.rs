//! For buses that stand in for another one in tests: most operations are the
//! other's, and only what a test is about is written down.

/// Within `impl Bus for …`: the named operations are those of the bus in a field.
#[macro_export]
macro_rules! contract_passes_on {
    ($inner:ident: $($operation:ident)*) => {
        $($crate::contract_passes_on!(@$operation $inner);)*
    };
    (@publish $inner:ident) => {
        fn publish(&self, outgoing: $crate::Outgoing, done: $crate::Done<$crate::Published>) {
            self.$inner.publish(outgoing, done);
        }
    };
    (@subscribe $inner:ident) => {
        fn subscribe(
            &self,
            pattern: $crate::Pattern,
            sink: ::std::sync::Arc<dyn $crate::Sink>,
            done: $crate::Done<$crate::Subscribed>,
        ) -> $crate::SubscriptionToken {
            self.$inner.subscribe(pattern, sink, done)
        }
    };
    (@unsubscribe $inner:ident) => {
        fn unsubscribe(&self, token: $crate::SubscriptionToken) {
            self.$inner.unsubscribe(token);
        }
    };
    (@request $inner:ident) => {
        fn request(
            &self,
            request: $crate::Request,
            done: $crate::Done<$crate::Reply>,
        ) -> $crate::RequestToken {
            self.$inner.request(request, done)
        }
    };
    (@cancel $inner:ident) => {
        fn cancel(&self, token: $crate::RequestToken) {
            self.$inner.cancel(token);
        }
    };
    (@serve $inner:ident) => {
        fn serve(
            &self,
            subject: $crate::Subject,
            handler: ::std::sync::Arc<dyn $crate::Handler>,
        ) -> $crate::SubscriptionToken {
            self.$inner.serve(subject, handler)
        }
    };
    (@announce $inner:ident) => {
        fn announce(&self, service: $crate::Service) -> $crate::SubscriptionToken {
            self.$inner.announce(service)
        }
    };
    (@declare_log $inner:ident) => {
        fn declare_log(&self, log: $crate::Log, done: $crate::Done<()>) {
            self.$inner.declare_log(log, done);
        }
    };
    (@history $inner:ident) => {
        fn history(&self, read: $crate::HistoryRead, done: $crate::Done<$crate::HistoryPage>) {
            self.$inner.history(read, done);
        }
    };
    (@declare_table $inner:ident) => {
        fn declare_table(&self, table: $crate::TableSpec, done: $crate::Done<()>) {
            self.$inner.declare_table(table, done);
        }
    };
    (@put $inner:ident) => {
        fn put(&self, put: $crate::Put, done: $crate::Done<$crate::Revision>) {
            self.$inner.put(put, done);
        }
    };
    (@remove $inner:ident) => {
        fn remove(&self, remove: $crate::Remove, done: $crate::Done<()>) {
            self.$inner.remove(remove, done);
        }
    };
    (@entries $inner:ident) => {
        fn entries(
            &self,
            table: $crate::Table,
            keys: ::std::vec::Vec<$crate::Pattern>,
            done: $crate::Done<::std::vec::Vec<$crate::Entry>>,
        ) {
            self.$inner.entries(table, keys, done);
        }
    };
    (@state $inner:ident) => {
        fn state(&self) -> ::tokio::sync::watch::Receiver<$crate::BusState> {
            self.$inner.state()
        }
    };
}

#[doc(inline)]
pub use crate::contract_passes_on as passes_on;
