impl serde::Serialize for Accepted {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if self.id != 0 {
            len += 1;
        }
        if self.offset != 0 {
            len += 1;
        }
        if self.reached != 0 {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("tidegate.client.v1.Accepted", len)?;
        if self.id != 0 {
            struct_ser.serialize_field("id", &self.id)?;
        }
        if self.offset != 0 {
            #[allow(clippy::needless_borrow)]
            #[allow(clippy::needless_borrows_for_generic_args)]
            struct_ser.serialize_field("offset", ToString::to_string(&self.offset).as_str())?;
        }
        if self.reached != 0 {
            struct_ser.serialize_field("reached", &self.reached)?;
        }
        struct_ser.end()
    }
}
impl<'de> serde::Deserialize<'de> for Accepted {
    #[allow(deprecated)]
    fn deserialize<D>(deserializer: D) -> std::result::Result<Self, D::Error>
    where
        D: serde::Deserializer<'de>,
    {
        const FIELDS: &[&str] = &[
            "id",
            "offset",
            "reached",
        ];

        #[allow(clippy::enum_variant_names)]
        enum GeneratedField {
            Id,
            Offset,
            Reached,
        }
        impl<'de> serde::Deserialize<'de> for GeneratedField {
            fn deserialize<D>(deserializer: D) -> std::result::Result<GeneratedField, D::Error>
            where
                D: serde::Deserializer<'de>,
            {
                struct GeneratedVisitor;

                impl serde::de::Visitor<'_> for GeneratedVisitor {
                    type Value = GeneratedField;

                    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        write!(formatter, "expected one of: {:?}", &FIELDS)
                    }

                    #[allow(unused_variables)]
                    fn visit_str<E>(self, value: &str) -> std::result::Result<GeneratedField, E>
                    where
                        E: serde::de::Error,
                    {
                        match value {
                            "id" => Ok(GeneratedField::Id),
                            "offset" => Ok(GeneratedField::Offset),
                            "reached" => Ok(GeneratedField::Reached),
                            _ => Err(serde::de::Error::unknown_field(value, FIELDS)),
                        }
                    }
                }
                deserializer.deserialize_identifier(GeneratedVisitor)
            }
        }
        struct GeneratedVisitor;
        impl<'de> serde::de::Visitor<'de> for GeneratedVisitor {
            type Value = Accepted;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("struct tidegate.client.v1.Accepted")
            }

            fn visit_map<V>(self, mut map_: V) -> std::result::Result<Accepted, V::Error>
                where
                    V: serde::de::MapAccess<'de>,
            {
                let mut id__ = None;
                let mut offset__ = None;
                let mut reached__ = None;
                while let Some(k) = map_.next_key()? {
                    match k {
                        GeneratedField::Id => {
                            if id__.is_some() {
                                return Err(serde::de::Error::duplicate_field("id"));
                            }
                            id__ = 
                                Some(map_.next_value::<::pbjson::private::NumberDeserialize<_>>()?.0)
                            ;
                        }
                        GeneratedField::Offset => {
                            if offset__.is_some() {
                                return Err(serde::de::Error::duplicate_field("offset"));
                            }
                            offset__ = 
                                Some(map_.next_value::<::pbjson::private::NumberDeserialize<_>>()?.0)
                            ;
                        }
                        GeneratedField::Reached => {
                            if reached__.is_some() {
                                return Err(serde::de::Error::duplicate_field("reached"));
                            }
                            reached__ = 
                                Some(map_.next_value::<::pbjson::private::NumberDeserialize<_>>()?.0)
                            ;
                        }
                    }
                }
                Ok(Accepted {
                    id: id__.unwrap_or_default(),
                    offset: offset__.unwrap_or_default(),
                    reached: reached__.unwrap_or_default(),
                })
            }
        }
        deserializer.deserialize_struct("tidegate.client.v1.Accepted", FIELDS, GeneratedVisitor)
    }
}
impl serde::Serialize for Ack {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if self.up_to != 0 {
            len += 1;
        }
        if self.ack_id != 0 {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("tidegate.client.v1.Ack", len)?;
        if self.up_to != 0 {
            #[allow(clippy::needless_borrow)]
            #[allow(clippy::needless_borrows_for_generic_args)]
            struct_ser.serialize_field("upTo", ToString::to_string(&self.up_to).as_str())?;
        }
        if self.ack_id != 0 {
            #[allow(clippy::needless_borrow)]
            #[allow(clippy::needless_borrows_for_generic_args)]
            struct_ser.serialize_field("ackId", ToString::to_string(&self.ack_id).as_str())?;
        }
        struct_ser.end()
    }
}
impl<'de> serde::Deserialize<'de> for Ack {
    #[allow(deprecated)]
    fn deserialize<D>(deserializer: D) -> std::result::Result<Self, D::Error>
    where
        D: serde::Deserializer<'de>,
    {
        const FIELDS: &[&str] = &[
            "up_to",
            "upTo",
            "ack_id",
            "ackId",
        ];

        #[allow(clippy::enum_variant_names)]
        enum GeneratedField {
            UpTo,
            AckId,
        }
        impl<'de> serde::Deserialize<'de> for GeneratedField {
            fn deserialize<D>(deserializer: D) -> std::result::Result<GeneratedField, D::Error>
            where
                D: serde::Deserializer<'de>,
            {
                struct GeneratedVisitor;

                impl serde::de::Visitor<'_> for GeneratedVisitor {
                    type Value = GeneratedField;

                    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        write!(formatter, "expected one of: {:?}", &FIELDS)
                    }

                    #[allow(unused_variables)]
                    fn visit_str<E>(self, value: &str) -> std::result::Result<GeneratedField, E>
                    where
                        E: serde::de::Error,
                    {
                        match value {
                            "upTo" | "up_to" => Ok(GeneratedField::UpTo),
                            "ackId" | "ack_id" => Ok(GeneratedField::AckId),
                            _ => Err(serde::de::Error::unknown_field(value, FIELDS)),
                        }
                    }
                }
                deserializer.deserialize_identifier(GeneratedVisitor)
            }
        }
        struct GeneratedVisitor;
        impl<'de> serde::de::Visitor<'de> for GeneratedVisitor {
            type Value = Ack;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("struct tidegate.client.v1.Ack")
            }

            fn visit_map<V>(self, mut map_: V) -> std::result::Result<Ack, V::Error>
                where
                    V: serde::de::MapAccess<'de>,
            {
                let mut up_to__ = None;
                let mut ack_id__ = None;
                while let Some(k) = map_.next_key()? {
                    match k {
                        GeneratedField::UpTo => {
                            if up_to__.is_some() {
                                return Err(serde::de::Error::duplicate_field("upTo"));
                            }
                            up_to__ = 
                                Some(map_.next_value::<::pbjson::private::NumberDeserialize<_>>()?.0)
                            ;
                        }
                        GeneratedField::AckId => {
                            if ack_id__.is_some() {
                                return Err(serde::de::Error::duplicate_field("ackId"));
                            }
                            ack_id__ = 
                                Some(map_.next_value::<::pbjson::private::NumberDeserialize<_>>()?.0)
                            ;
                        }
                    }
                }
                Ok(Ack {
                    up_to: up_to__.unwrap_or_default(),
                    ack_id: ack_id__.unwrap_or_default(),
                })
            }
        }
        deserializer.deserialize_struct("tidegate.client.v1.Ack", FIELDS, GeneratedVisitor)
    }
}
impl serde::Serialize for ArmWill {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if self.id != 0 {
            len += 1;
        }
        if !self.route.is_empty() {
            len += 1;
        }
        if !self.payload.is_empty() {
            len += 1;
        }
        if self.grace_ms != 0 {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("tidegate.client.v1.ArmWill", len)?;
        if self.id != 0 {
            struct_ser.serialize_field("id", &self.id)?;
        }
        if !self.route.is_empty() {
            struct_ser.serialize_field("route", &self.route)?;
        }
        if !self.payload.is_empty() {
            #[allow(clippy::needless_borrow)]
            #[allow(clippy::needless_borrows_for_generic_args)]
            struct_ser.serialize_field("payload", pbjson::private::base64::encode(&self.payload).as_str())?;
        }
        if self.grace_ms != 0 {
            struct_ser.serialize_field("graceMs", &self.grace_ms)?;
        }
        struct_ser.end()
    }
}
impl<'de> serde::Deserialize<'de> for ArmWill {
    #[allow(deprecated)]
    fn deserialize<D>(deserializer: D) -> std::result::Result<Self, D::Error>
    where
        D: serde::Deserializer<'de>,
    {
        const FIELDS: &[&str] = &[
            "id",
            "route",
            "payload",
            "grace_ms",
            "graceMs",
        ];

        #[allow(clippy::enum_variant_names)]
        enum GeneratedField {
            Id,
            Route,
            Payload,
            GraceMs,
        }
        impl<'de> serde::Deserialize<'de> for GeneratedField {
            fn deserialize<D>(deserializer: D) -> std::result::Result<GeneratedField, D::Error>
            where
                D: serde::Deserializer<'de>,
            {
                struct GeneratedVisitor;

                impl serde::de::Visitor<'_> for GeneratedVisitor {
                    type Value = GeneratedField;

                    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        write!(formatter, "expected one of: {:?}", &FIELDS)
                    }

                    #[allow(unused_variables)]
                    fn visit_str<E>(self, value: &str) -> std::result::Result<GeneratedField, E>
                    where
                        E: serde::de::Error,
                    {
                        match value {
                            "id" => Ok(GeneratedField::Id),
                            "route" => Ok(GeneratedField::Route),
                            "payload" => Ok(GeneratedField::Payload),
                            "graceMs" | "grace_ms" => Ok(GeneratedField::GraceMs),
                            _ => Err(serde::de::Error::unknown_field(value, FIELDS)),
                        }
                    }
                }
                deserializer.deserialize_identifier(GeneratedVisitor)
            }
        }
        struct GeneratedVisitor;
        impl<'de> serde::de::Visitor<'de> for GeneratedVisitor {
            type Value = ArmWill;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("struct tidegate.client.v1.ArmWill")
            }

            fn visit_map<V>(self, mut map_: V) -> std::result::Result<ArmWill, V::Error>
                where
                    V: serde::de::MapAccess<'de>,
            {
                let mut id__ = None;
                let mut route__ = None;
                let mut payload__ = None;
                let mut grace_ms__ = None;
                while let Some(k) = map_.next_key()? {
                    match k {
                        GeneratedField::Id => {
                            if id__.is_some() {
                                return Err(serde::de::Error::duplicate_field("id"));
                            }
                            id__ = 
                                Some(map_.next_value::<::pbjson::private::NumberDeserialize<_>>()?.0)
                            ;
                        }
                        GeneratedField::Route => {
                            if route__.is_some() {
                                return Err(serde::de::Error::duplicate_field("route"));
                            }
                            route__ = Some(map_.next_value()?);
                        }
                        GeneratedField::Payload => {
                            if payload__.is_some() {
                                return Err(serde::de::Error::duplicate_field("payload"));
                            }
                            payload__ = 
                                Some(map_.next_value::<::pbjson::private::BytesDeserialize<_>>()?.0)
                            ;
                        }
                        GeneratedField::GraceMs => {
                            if grace_ms__.is_some() {
                                return Err(serde::de::Error::duplicate_field("graceMs"));
                            }
                            grace_ms__ = 
                                Some(map_.next_value::<::pbjson::private::NumberDeserialize<_>>()?.0)
                            ;
                        }
                    }
                }
                Ok(ArmWill {
                    id: id__.unwrap_or_default(),
                    route: route__.unwrap_or_default(),
                    payload: payload__.unwrap_or_default(),
                    grace_ms: grace_ms__.unwrap_or_default(),
                })
            }
        }
        deserializer.deserialize_struct("tidegate.client.v1.ArmWill", FIELDS, GeneratedVisitor)
    }
}
impl serde::Serialize for Cancel {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if self.id != 0 {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("tidegate.client.v1.Cancel", len)?;
        if self.id != 0 {
            struct_ser.serialize_field("id", &self.id)?;
        }
        struct_ser.end()
    }
}
impl<'de> serde::Deserialize<'de> for Cancel {
    #[allow(deprecated)]
    fn deserialize<D>(deserializer: D) -> std::result::Result<Self, D::Error>
    where
        D: serde::Deserializer<'de>,
    {
        const FIELDS: &[&str] = &[
            "id",
        ];

        #[allow(clippy::enum_variant_names)]
        enum GeneratedField {
            Id,
        }
        impl<'de> serde::Deserialize<'de> for GeneratedField {
            fn deserialize<D>(deserializer: D) -> std::result::Result<GeneratedField, D::Error>
            where
                D: serde::Deserializer<'de>,
            {
                struct GeneratedVisitor;

                impl serde::de::Visitor<'_> for GeneratedVisitor {
                    type Value = GeneratedField;

                    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        write!(formatter, "expected one of: {:?}", &FIELDS)
                    }

                    #[allow(unused_variables)]
                    fn visit_str<E>(self, value: &str) -> std::result::Result<GeneratedField, E>
                    where
                        E: serde::de::Error,
                    {
                        match value {
                            "id" => Ok(GeneratedField::Id),
                            _ => Err(serde::de::Error::unknown_field(value, FIELDS)),
                        }
                    }
                }
                deserializer.deserialize_identifier(GeneratedVisitor)
            }
        }
        struct GeneratedVisitor;
        impl<'de> serde::de::Visitor<'de> for GeneratedVisitor {
            type Value = Cancel;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("struct tidegate.client.v1.Cancel")
            }

            fn visit_map<V>(self, mut map_: V) -> std::result::Result<Cancel, V::Error>
                where
                    V: serde::de::MapAccess<'de>,
            {
                let mut id__ = None;
                while let Some(k) = map_.next_key()? {
                    match k {
                        GeneratedField::Id => {
                            if id__.is_some() {
                                return Err(serde::de::Error::duplicate_field("id"));
                            }
                            id__ = 
                                Some(map_.next_value::<::pbjson::private::NumberDeserialize<_>>()?.0)
                            ;
                        }
                    }
                }
                Ok(Cancel {
                    id: id__.unwrap_or_default(),
                })
            }
        }
        deserializer.deserialize_struct("tidegate.client.v1.Cancel", FIELDS, GeneratedVisitor)
    }
}
impl serde::Serialize for ClientEvent {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if self.event.is_some() {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("tidegate.client.v1.ClientEvent", len)?;
        if let Some(v) = self.event.as_ref() {
            match v {
                client_event::Event::Hello(v) => {
                    struct_ser.serialize_field("hello", v)?;
                }
                client_event::Event::Subscribe(v) => {
                    struct_ser.serialize_field("subscribe", v)?;
                }
                client_event::Event::Unsubscribe(v) => {
                    struct_ser.serialize_field("unsubscribe", v)?;
                }
                client_event::Event::Publish(v) => {
                    struct_ser.serialize_field("publish", v)?;
                }
                client_event::Event::Request(v) => {
                    struct_ser.serialize_field("request", v)?;
                }
                client_event::Event::Cancel(v) => {
                    struct_ser.serialize_field("cancel", v)?;
                }
                client_event::Event::Ack(v) => {
                    struct_ser.serialize_field("ack", v)?;
                }
                client_event::Event::Refresh(v) => {
                    struct_ser.serialize_field("refresh", v)?;
                }
                client_event::Event::Ping(v) => {
                    struct_ser.serialize_field("ping", v)?;
                }
                client_event::Event::History(v) => {
                    struct_ser.serialize_field("history", v)?;
                }
                client_event::Event::Presence(v) => {
                    struct_ser.serialize_field("presence", v)?;
                }
                client_event::Event::SetSubscription(v) => {
                    struct_ser.serialize_field("setSubscription", v)?;
                }
                client_event::Event::ArmWill(v) => {
                    struct_ser.serialize_field("armWill", v)?;
                }
                client_event::Event::DisarmWill(v) => {
                    struct_ser.serialize_field("disarmWill", v)?;
                }
                client_event::Event::Signal(v) => {
                    struct_ser.serialize_field("signal", v)?;
                }
            }
        }
        struct_ser.end()
    }
}
impl<'de> serde::Deserialize<'de> for ClientEvent {
    #[allow(deprecated)]
    fn deserialize<D>(deserializer: D) -> std::result::Result<Self, D::Error>
    where
        D: serde::Deserializer<'de>,
    {
        const FIELDS: &[&str] = &[
            "hello",
            "subscribe",
            "unsubscribe",
            "publish",
            "request",
            "cancel",
            "ack",
            "refresh",
            "ping",
            "history",
            "presence",
            "set_subscription",
            "setSubscription",
            "arm_will",
            "armWill",
            "disarm_will",
            "disarmWill",
            "signal",
        ];

        #[allow(clippy::enum_variant_names)]
        enum GeneratedField {
            Hello,
            Subscribe,
            Unsubscribe,
            Publish,
            Request,
            Cancel,
            Ack,
            Refresh,
            Ping,
            History,
            Presence,
            SetSubscription,
            ArmWill,
            DisarmWill,
            Signal,
        }
        impl<'de> serde::Deserialize<'de> for GeneratedField {
            fn deserialize<D>(deserializer: D) -> std::result::Result<GeneratedField, D::Error>
            where
                D: serde::Deserializer<'de>,
            {
                struct GeneratedVisitor;

                impl serde::de::Visitor<'_> for GeneratedVisitor {
                    type Value = GeneratedField;

                    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        write!(formatter, "expected one of: {:?}", &FIELDS)
                    }

                    #[allow(unused_variables)]
                    fn visit_str<E>(self, value: &str) -> std::result::Result<GeneratedField, E>
                    where
                        E: serde::de::Error,
                    {
                        match value {
                            "hello" => Ok(GeneratedField::Hello),
                            "subscribe" => Ok(GeneratedField::Subscribe),
                            "unsubscribe" => Ok(GeneratedField::Unsubscribe),
                            "publish" => Ok(GeneratedField::Publish),
                            "request" => Ok(GeneratedField::Request),
                            "cancel" => Ok(GeneratedField::Cancel),
                            "ack" => Ok(GeneratedField::Ack),
                            "refresh" => Ok(GeneratedField::Refresh),
                            "ping" => Ok(GeneratedField::Ping),
                            "history" => Ok(GeneratedField::History),
                            "presence" => Ok(GeneratedField::Presence),
                            "setSubscription" | "set_subscription" => Ok(GeneratedField::SetSubscription),
                            "armWill" | "arm_will" => Ok(GeneratedField::ArmWill),
                            "disarmWill" | "disarm_will" => Ok(GeneratedField::DisarmWill),
                            "signal" => Ok(GeneratedField::Signal),
                            _ => Err(serde::de::Error::unknown_field(value, FIELDS)),
                        }
                    }
                }
                deserializer.deserialize_identifier(GeneratedVisitor)
            }
        }
        struct GeneratedVisitor;
        impl<'de> serde::de::Visitor<'de> for GeneratedVisitor {
            type Value = ClientEvent;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("struct tidegate.client.v1.ClientEvent")
            }

            fn visit_map<V>(self, mut map_: V) -> std::result::Result<ClientEvent, V::Error>
                where
                    V: serde::de::MapAccess<'de>,
            {
                let mut event__ = None;
                while let Some(k) = map_.next_key()? {
                    match k {
                        GeneratedField::Hello => {
                            if event__.is_some() {
                                return Err(serde::de::Error::duplicate_field("hello"));
                            }
                            event__ = map_.next_value::<::std::option::Option<_>>()?.map(client_event::Event::Hello)
;
                        }
                        GeneratedField::Subscribe => {
                            if event__.is_some() {
                                return Err(serde::de::Error::duplicate_field("subscribe"));
                            }
                            event__ = map_.next_value::<::std::option::Option<_>>()?.map(client_event::Event::Subscribe)
;
                        }
                        GeneratedField::Unsubscribe => {
                            if event__.is_some() {
                                return Err(serde::de::Error::duplicate_field("unsubscribe"));
                            }
                            event__ = map_.next_value::<::std::option::Option<_>>()?.map(client_event::Event::Unsubscribe)
;
                        }
                        GeneratedField::Publish => {
                            if event__.is_some() {
                                return Err(serde::de::Error::duplicate_field("publish"));
                            }
                            event__ = map_.next_value::<::std::option::Option<_>>()?.map(client_event::Event::Publish)
;
                        }
                        GeneratedField::Request => {
                            if event__.is_some() {
                                return Err(serde::de::Error::duplicate_field("request"));
                            }
                            event__ = map_.next_value::<::std::option::Option<_>>()?.map(client_event::Event::Request)
;
                        }
                        GeneratedField::Cancel => {
                            if event__.is_some() {
                                return Err(serde::de::Error::duplicate_field("cancel"));
                            }
                            event__ = map_.next_value::<::std::option::Option<_>>()?.map(client_event::Event::Cancel)
;
                        }
                        GeneratedField::Ack => {
                            if event__.is_some() {
                                return Err(serde::de::Error::duplicate_field("ack"));
                            }
                            event__ = map_.next_value::<::std::option::Option<_>>()?.map(client_event::Event::Ack)
;
                        }
                        GeneratedField::Refresh => {
                            if event__.is_some() {
                                return Err(serde::de::Error::duplicate_field("refresh"));
                            }
                            event__ = map_.next_value::<::std::option::Option<_>>()?.map(client_event::Event::Refresh)
;
                        }
                        GeneratedField::Ping => {
                            if event__.is_some() {
                                return Err(serde::de::Error::duplicate_field("ping"));
                            }
                            event__ = map_.next_value::<::std::option::Option<_>>()?.map(client_event::Event::Ping)
;
                        }
                        GeneratedField::History => {
                            if event__.is_some() {
                                return Err(serde::de::Error::duplicate_field("history"));
                            }
                            event__ = map_.next_value::<::std::option::Option<_>>()?.map(client_event::Event::History)
;
                        }
                        GeneratedField::Presence => {
                            if event__.is_some() {
                                return Err(serde::de::Error::duplicate_field("presence"));
                            }
                            event__ = map_.next_value::<::std::option::Option<_>>()?.map(client_event::Event::Presence)
;
                        }
                        GeneratedField::SetSubscription => {
                            if event__.is_some() {
                                return Err(serde::de::Error::duplicate_field("setSubscription"));
                            }
                            event__ = map_.next_value::<::std::option::Option<_>>()?.map(client_event::Event::SetSubscription)
;
                        }
                        GeneratedField::ArmWill => {
                            if event__.is_some() {
                                return Err(serde::de::Error::duplicate_field("armWill"));
                            }
                            event__ = map_.next_value::<::std::option::Option<_>>()?.map(client_event::Event::ArmWill)
;
                        }
                        GeneratedField::DisarmWill => {
                            if event__.is_some() {
                                return Err(serde::de::Error::duplicate_field("disarmWill"));
                            }
                            event__ = map_.next_value::<::std::option::Option<_>>()?.map(client_event::Event::DisarmWill)
;
                        }
                        GeneratedField::Signal => {
                            if event__.is_some() {
                                return Err(serde::de::Error::duplicate_field("signal"));
                            }
                            event__ = map_.next_value::<::std::option::Option<_>>()?.map(client_event::Event::Signal)
;
                        }
                    }
                }
                Ok(ClientEvent {
                    event: event__,
                })
            }
        }
        deserializer.deserialize_struct("tidegate.client.v1.ClientEvent", FIELDS, GeneratedVisitor)
    }
}
impl serde::Serialize for ClientMessage {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if !self.events.is_empty() {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("tidegate.client.v1.ClientMessage", len)?;
        if !self.events.is_empty() {
            struct_ser.serialize_field("events", &self.events)?;
        }
        struct_ser.end()
    }
}
impl<'de> serde::Deserialize<'de> for ClientMessage {
    #[allow(deprecated)]
    fn deserialize<D>(deserializer: D) -> std::result::Result<Self, D::Error>
    where
        D: serde::Deserializer<'de>,
    {
        const FIELDS: &[&str] = &[
            "events",
        ];

        #[allow(clippy::enum_variant_names)]
        enum GeneratedField {
            Events,
        }
        impl<'de> serde::Deserialize<'de> for GeneratedField {
            fn deserialize<D>(deserializer: D) -> std::result::Result<GeneratedField, D::Error>
            where
                D: serde::Deserializer<'de>,
            {
                struct GeneratedVisitor;

                impl serde::de::Visitor<'_> for GeneratedVisitor {
                    type Value = GeneratedField;

                    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        write!(formatter, "expected one of: {:?}", &FIELDS)
                    }

                    #[allow(unused_variables)]
                    fn visit_str<E>(self, value: &str) -> std::result::Result<GeneratedField, E>
                    where
                        E: serde::de::Error,
                    {
                        match value {
                            "events" => Ok(GeneratedField::Events),
                            _ => Err(serde::de::Error::unknown_field(value, FIELDS)),
                        }
                    }
                }
                deserializer.deserialize_identifier(GeneratedVisitor)
            }
        }
        struct GeneratedVisitor;
        impl<'de> serde::de::Visitor<'de> for GeneratedVisitor {
            type Value = ClientMessage;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("struct tidegate.client.v1.ClientMessage")
            }

            fn visit_map<V>(self, mut map_: V) -> std::result::Result<ClientMessage, V::Error>
                where
                    V: serde::de::MapAccess<'de>,
            {
                let mut events__ = None;
                while let Some(k) = map_.next_key()? {
                    match k {
                        GeneratedField::Events => {
                            if events__.is_some() {
                                return Err(serde::de::Error::duplicate_field("events"));
                            }
                            events__ = Some(map_.next_value()?);
                        }
                    }
                }
                Ok(ClientMessage {
                    events: events__.unwrap_or_default(),
                })
            }
        }
        deserializer.deserialize_struct("tidegate.client.v1.ClientMessage", FIELDS, GeneratedVisitor)
    }
}
impl serde::Serialize for Closing {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if self.close_code != 0 {
            len += 1;
        }
        if !self.cause.is_empty() {
            len += 1;
        }
        if !self.message.is_empty() {
            len += 1;
        }
        if self.retry_after_ms != 0 {
            len += 1;
        }
        if self.resumable {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("tidegate.client.v1.Closing", len)?;
        if self.close_code != 0 {
            struct_ser.serialize_field("closeCode", &self.close_code)?;
        }
        if !self.cause.is_empty() {
            struct_ser.serialize_field("cause", &self.cause)?;
        }
        if !self.message.is_empty() {
            struct_ser.serialize_field("message", &self.message)?;
        }
        if self.retry_after_ms != 0 {
            struct_ser.serialize_field("retryAfterMs", &self.retry_after_ms)?;
        }
        if self.resumable {
            struct_ser.serialize_field("resumable", &self.resumable)?;
        }
        struct_ser.end()
    }
}
impl<'de> serde::Deserialize<'de> for Closing {
    #[allow(deprecated)]
    fn deserialize<D>(deserializer: D) -> std::result::Result<Self, D::Error>
    where
        D: serde::Deserializer<'de>,
    {
        const FIELDS: &[&str] = &[
            "close_code",
            "closeCode",
            "cause",
            "message",
            "retry_after_ms",
            "retryAfterMs",
            "resumable",
        ];

        #[allow(clippy::enum_variant_names)]
        enum GeneratedField {
            CloseCode,
            Cause,
            Message,
            RetryAfterMs,
            Resumable,
        }
        impl<'de> serde::Deserialize<'de> for GeneratedField {
            fn deserialize<D>(deserializer: D) -> std::result::Result<GeneratedField, D::Error>
            where
                D: serde::Deserializer<'de>,
            {
                struct GeneratedVisitor;

                impl serde::de::Visitor<'_> for GeneratedVisitor {
                    type Value = GeneratedField;

                    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        write!(formatter, "expected one of: {:?}", &FIELDS)
                    }

                    #[allow(unused_variables)]
                    fn visit_str<E>(self, value: &str) -> std::result::Result<GeneratedField, E>
                    where
                        E: serde::de::Error,
                    {
                        match value {
                            "closeCode" | "close_code" => Ok(GeneratedField::CloseCode),
                            "cause" => Ok(GeneratedField::Cause),
                            "message" => Ok(GeneratedField::Message),
                            "retryAfterMs" | "retry_after_ms" => Ok(GeneratedField::RetryAfterMs),
                            "resumable" => Ok(GeneratedField::Resumable),
                            _ => Err(serde::de::Error::unknown_field(value, FIELDS)),
                        }
                    }
                }
                deserializer.deserialize_identifier(GeneratedVisitor)
            }
        }
        struct GeneratedVisitor;
        impl<'de> serde::de::Visitor<'de> for GeneratedVisitor {
            type Value = Closing;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("struct tidegate.client.v1.Closing")
            }

            fn visit_map<V>(self, mut map_: V) -> std::result::Result<Closing, V::Error>
                where
                    V: serde::de::MapAccess<'de>,
            {
                let mut close_code__ = None;
                let mut cause__ = None;
                let mut message__ = None;
                let mut retry_after_ms__ = None;
                let mut resumable__ = None;
                while let Some(k) = map_.next_key()? {
                    match k {
                        GeneratedField::CloseCode => {
                            if close_code__.is_some() {
                                return Err(serde::de::Error::duplicate_field("closeCode"));
                            }
                            close_code__ = 
                                Some(map_.next_value::<::pbjson::private::NumberDeserialize<_>>()?.0)
                            ;
                        }
                        GeneratedField::Cause => {
                            if cause__.is_some() {
                                return Err(serde::de::Error::duplicate_field("cause"));
                            }
                            cause__ = Some(map_.next_value()?);
                        }
                        GeneratedField::Message => {
                            if message__.is_some() {
                                return Err(serde::de::Error::duplicate_field("message"));
                            }
                            message__ = Some(map_.next_value()?);
                        }
                        GeneratedField::RetryAfterMs => {
                            if retry_after_ms__.is_some() {
                                return Err(serde::de::Error::duplicate_field("retryAfterMs"));
                            }
                            retry_after_ms__ = 
                                Some(map_.next_value::<::pbjson::private::NumberDeserialize<_>>()?.0)
                            ;
                        }
                        GeneratedField::Resumable => {
                            if resumable__.is_some() {
                                return Err(serde::de::Error::duplicate_field("resumable"));
                            }
                            resumable__ = Some(map_.next_value()?);
                        }
                    }
                }
                Ok(Closing {
                    close_code: close_code__.unwrap_or_default(),
                    cause: cause__.unwrap_or_default(),
                    message: message__.unwrap_or_default(),
                    retry_after_ms: retry_after_ms__.unwrap_or_default(),
                    resumable: resumable__.unwrap_or_default(),
                })
            }
        }
        deserializer.deserialize_struct("tidegate.client.v1.Closing", FIELDS, GeneratedVisitor)
    }
}
impl serde::Serialize for Direct {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if self.offset != 0 {
            len += 1;
        }
        if self.previous != 0 {
            len += 1;
        }
        if !self.payload.is_empty() {
            len += 1;
        }
        if self.needs_ack {
            len += 1;
        }
        if self.ack_id != 0 {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("tidegate.client.v1.Direct", len)?;
        if self.offset != 0 {
            #[allow(clippy::needless_borrow)]
            #[allow(clippy::needless_borrows_for_generic_args)]
            struct_ser.serialize_field("offset", ToString::to_string(&self.offset).as_str())?;
        }
        if self.previous != 0 {
            #[allow(clippy::needless_borrow)]
            #[allow(clippy::needless_borrows_for_generic_args)]
            struct_ser.serialize_field("previous", ToString::to_string(&self.previous).as_str())?;
        }
        if !self.payload.is_empty() {
            #[allow(clippy::needless_borrow)]
            #[allow(clippy::needless_borrows_for_generic_args)]
            struct_ser.serialize_field("payload", pbjson::private::base64::encode(&self.payload).as_str())?;
        }
        if self.needs_ack {
            struct_ser.serialize_field("needsAck", &self.needs_ack)?;
        }
        if self.ack_id != 0 {
            #[allow(clippy::needless_borrow)]
            #[allow(clippy::needless_borrows_for_generic_args)]
            struct_ser.serialize_field("ackId", ToString::to_string(&self.ack_id).as_str())?;
        }
        struct_ser.end()
    }
}
impl<'de> serde::Deserialize<'de> for Direct {
    #[allow(deprecated)]
    fn deserialize<D>(deserializer: D) -> std::result::Result<Self, D::Error>
    where
        D: serde::Deserializer<'de>,
    {
        const FIELDS: &[&str] = &[
            "offset",
            "previous",
            "payload",
            "needs_ack",
            "needsAck",
            "ack_id",
            "ackId",
        ];

        #[allow(clippy::enum_variant_names)]
        enum GeneratedField {
            Offset,
            Previous,
            Payload,
            NeedsAck,
            AckId,
        }
        impl<'de> serde::Deserialize<'de> for GeneratedField {
            fn deserialize<D>(deserializer: D) -> std::result::Result<GeneratedField, D::Error>
            where
                D: serde::Deserializer<'de>,
            {
                struct GeneratedVisitor;

                impl serde::de::Visitor<'_> for GeneratedVisitor {
                    type Value = GeneratedField;

                    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        write!(formatter, "expected one of: {:?}", &FIELDS)
                    }

                    #[allow(unused_variables)]
                    fn visit_str<E>(self, value: &str) -> std::result::Result<GeneratedField, E>
                    where
                        E: serde::de::Error,
                    {
                        match value {
                            "offset" => Ok(GeneratedField::Offset),
                            "previous" => Ok(GeneratedField::Previous),
                            "payload" => Ok(GeneratedField::Payload),
                            "needsAck" | "needs_ack" => Ok(GeneratedField::NeedsAck),
                            "ackId" | "ack_id" => Ok(GeneratedField::AckId),
                            _ => Err(serde::de::Error::unknown_field(value, FIELDS)),
                        }
                    }
                }
                deserializer.deserialize_identifier(GeneratedVisitor)
            }
        }
        struct GeneratedVisitor;
        impl<'de> serde::de::Visitor<'de> for GeneratedVisitor {
            type Value = Direct;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("struct tidegate.client.v1.Direct")
            }

            fn visit_map<V>(self, mut map_: V) -> std::result::Result<Direct, V::Error>
                where
                    V: serde::de::MapAccess<'de>,
            {
                let mut offset__ = None;
                let mut previous__ = None;
                let mut payload__ = None;
                let mut needs_ack__ = None;
                let mut ack_id__ = None;
                while let Some(k) = map_.next_key()? {
                    match k {
                        GeneratedField::Offset => {
                            if offset__.is_some() {
                                return Err(serde::de::Error::duplicate_field("offset"));
                            }
                            offset__ = 
                                Some(map_.next_value::<::pbjson::private::NumberDeserialize<_>>()?.0)
                            ;
                        }
                        GeneratedField::Previous => {
                            if previous__.is_some() {
                                return Err(serde::de::Error::duplicate_field("previous"));
                            }
                            previous__ = 
                                Some(map_.next_value::<::pbjson::private::NumberDeserialize<_>>()?.0)
                            ;
                        }
                        GeneratedField::Payload => {
                            if payload__.is_some() {
                                return Err(serde::de::Error::duplicate_field("payload"));
                            }
                            payload__ = 
                                Some(map_.next_value::<::pbjson::private::BytesDeserialize<_>>()?.0)
                            ;
                        }
                        GeneratedField::NeedsAck => {
                            if needs_ack__.is_some() {
                                return Err(serde::de::Error::duplicate_field("needsAck"));
                            }
                            needs_ack__ = Some(map_.next_value()?);
                        }
                        GeneratedField::AckId => {
                            if ack_id__.is_some() {
                                return Err(serde::de::Error::duplicate_field("ackId"));
                            }
                            ack_id__ = 
                                Some(map_.next_value::<::pbjson::private::NumberDeserialize<_>>()?.0)
                            ;
                        }
                    }
                }
                Ok(Direct {
                    offset: offset__.unwrap_or_default(),
                    previous: previous__.unwrap_or_default(),
                    payload: payload__.unwrap_or_default(),
                    needs_ack: needs_ack__.unwrap_or_default(),
                    ack_id: ack_id__.unwrap_or_default(),
                })
            }
        }
        deserializer.deserialize_struct("tidegate.client.v1.Direct", FIELDS, GeneratedVisitor)
    }
}
impl serde::Serialize for DisarmWill {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if self.id != 0 {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("tidegate.client.v1.DisarmWill", len)?;
        if self.id != 0 {
            struct_ser.serialize_field("id", &self.id)?;
        }
        struct_ser.end()
    }
}
impl<'de> serde::Deserialize<'de> for DisarmWill {
    #[allow(deprecated)]
    fn deserialize<D>(deserializer: D) -> std::result::Result<Self, D::Error>
    where
        D: serde::Deserializer<'de>,
    {
        const FIELDS: &[&str] = &[
            "id",
        ];

        #[allow(clippy::enum_variant_names)]
        enum GeneratedField {
            Id,
        }
        impl<'de> serde::Deserialize<'de> for GeneratedField {
            fn deserialize<D>(deserializer: D) -> std::result::Result<GeneratedField, D::Error>
            where
                D: serde::Deserializer<'de>,
            {
                struct GeneratedVisitor;

                impl serde::de::Visitor<'_> for GeneratedVisitor {
                    type Value = GeneratedField;

                    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        write!(formatter, "expected one of: {:?}", &FIELDS)
                    }

                    #[allow(unused_variables)]
                    fn visit_str<E>(self, value: &str) -> std::result::Result<GeneratedField, E>
                    where
                        E: serde::de::Error,
                    {
                        match value {
                            "id" => Ok(GeneratedField::Id),
                            _ => Err(serde::de::Error::unknown_field(value, FIELDS)),
                        }
                    }
                }
                deserializer.deserialize_identifier(GeneratedVisitor)
            }
        }
        struct GeneratedVisitor;
        impl<'de> serde::de::Visitor<'de> for GeneratedVisitor {
            type Value = DisarmWill;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("struct tidegate.client.v1.DisarmWill")
            }

            fn visit_map<V>(self, mut map_: V) -> std::result::Result<DisarmWill, V::Error>
                where
                    V: serde::de::MapAccess<'de>,
            {
                let mut id__ = None;
                while let Some(k) = map_.next_key()? {
                    match k {
                        GeneratedField::Id => {
                            if id__.is_some() {
                                return Err(serde::de::Error::duplicate_field("id"));
                            }
                            id__ = 
                                Some(map_.next_value::<::pbjson::private::NumberDeserialize<_>>()?.0)
                            ;
                        }
                    }
                }
                Ok(DisarmWill {
                    id: id__.unwrap_or_default(),
                })
            }
        }
        deserializer.deserialize_struct("tidegate.client.v1.DisarmWill", FIELDS, GeneratedVisitor)
    }
}
impl serde::Serialize for Error {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if self.id != 0 {
            len += 1;
        }
        if self.failure.is_some() {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("tidegate.client.v1.Error", len)?;
        if self.id != 0 {
            struct_ser.serialize_field("id", &self.id)?;
        }
        if let Some(v) = self.failure.as_ref() {
            struct_ser.serialize_field("failure", v)?;
        }
        struct_ser.end()
    }
}
impl<'de> serde::Deserialize<'de> for Error {
    #[allow(deprecated)]
    fn deserialize<D>(deserializer: D) -> std::result::Result<Self, D::Error>
    where
        D: serde::Deserializer<'de>,
    {
        const FIELDS: &[&str] = &[
            "id",
            "failure",
        ];

        #[allow(clippy::enum_variant_names)]
        enum GeneratedField {
            Id,
            Failure,
        }
        impl<'de> serde::Deserialize<'de> for GeneratedField {
            fn deserialize<D>(deserializer: D) -> std::result::Result<GeneratedField, D::Error>
            where
                D: serde::Deserializer<'de>,
            {
                struct GeneratedVisitor;

                impl serde::de::Visitor<'_> for GeneratedVisitor {
                    type Value = GeneratedField;

                    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        write!(formatter, "expected one of: {:?}", &FIELDS)
                    }

                    #[allow(unused_variables)]
                    fn visit_str<E>(self, value: &str) -> std::result::Result<GeneratedField, E>
                    where
                        E: serde::de::Error,
                    {
                        match value {
                            "id" => Ok(GeneratedField::Id),
                            "failure" => Ok(GeneratedField::Failure),
                            _ => Err(serde::de::Error::unknown_field(value, FIELDS)),
                        }
                    }
                }
                deserializer.deserialize_identifier(GeneratedVisitor)
            }
        }
        struct GeneratedVisitor;
        impl<'de> serde::de::Visitor<'de> for GeneratedVisitor {
            type Value = Error;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("struct tidegate.client.v1.Error")
            }

            fn visit_map<V>(self, mut map_: V) -> std::result::Result<Error, V::Error>
                where
                    V: serde::de::MapAccess<'de>,
            {
                let mut id__ = None;
                let mut failure__ = None;
                while let Some(k) = map_.next_key()? {
                    match k {
                        GeneratedField::Id => {
                            if id__.is_some() {
                                return Err(serde::de::Error::duplicate_field("id"));
                            }
                            id__ = 
                                Some(map_.next_value::<::pbjson::private::NumberDeserialize<_>>()?.0)
                            ;
                        }
                        GeneratedField::Failure => {
                            if failure__.is_some() {
                                return Err(serde::de::Error::duplicate_field("failure"));
                            }
                            failure__ = map_.next_value()?;
                        }
                    }
                }
                Ok(Error {
                    id: id__.unwrap_or_default(),
                    failure: failure__,
                })
            }
        }
        deserializer.deserialize_struct("tidegate.client.v1.Error", FIELDS, GeneratedVisitor)
    }
}
impl serde::Serialize for ErrorCode {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        let variant = match self {
            Self::Unspecified => "ERROR_CODE_UNSPECIFIED",
            Self::MalformedMessage => "ERROR_CODE_MALFORMED_MESSAGE",
            Self::MessageTooLarge => "ERROR_CODE_MESSAGE_TOO_LARGE",
            Self::ProtocolViolation => "ERROR_CODE_PROTOCOL_VIOLATION",
            Self::Unimplemented => "ERROR_CODE_UNIMPLEMENTED",
            Self::AuthenticationTimeout => "ERROR_CODE_AUTHENTICATION_TIMEOUT",
            Self::InvalidToken => "ERROR_CODE_INVALID_TOKEN",
            Self::NotAuthenticated => "ERROR_CODE_NOT_AUTHENTICATED",
            Self::PermissionDenied => "ERROR_CODE_PERMISSION_DENIED",
            Self::InvalidChannel => "ERROR_CODE_INVALID_CHANNEL",
            Self::UnknownNamespace => "ERROR_CODE_UNKNOWN_NAMESPACE",
            Self::AlreadySubscribed => "ERROR_CODE_ALREADY_SUBSCRIBED",
            Self::NotSubscribed => "ERROR_CODE_NOT_SUBSCRIBED",
            Self::TooManySubscriptions => "ERROR_CODE_TOO_MANY_SUBSCRIPTIONS",
            Self::UnsubscribedByServer => "ERROR_CODE_UNSUBSCRIBED_BY_SERVER",
            Self::NoHistory => "ERROR_CODE_NO_HISTORY",
            Self::OtherEpoch => "ERROR_CODE_OTHER_EPOCH",
            Self::NoPresence => "ERROR_CODE_NO_PRESENCE",
            Self::NoSignals => "ERROR_CODE_NO_SIGNALS",
            Self::UnknownRoute => "ERROR_CODE_UNKNOWN_ROUTE",
            Self::NoWorker => "ERROR_CODE_NO_WORKER",
            Self::DeadlineExceeded => "ERROR_CODE_DEADLINE_EXCEEDED",
            Self::Cancelled => "ERROR_CODE_CANCELLED",
            Self::WorkerError => "ERROR_CODE_WORKER_ERROR",
            Self::DuplicateId => "ERROR_CODE_DUPLICATE_ID",
            Self::InProgress => "ERROR_CODE_IN_PROGRESS",
            Self::IdempotencyKeyReused => "ERROR_CODE_IDEMPOTENCY_KEY_REUSED",
            Self::OutcomeUnknown => "ERROR_CODE_OUTCOME_UNKNOWN",
            Self::WillFired => "ERROR_CODE_WILL_FIRED",
            Self::RateLimited => "ERROR_CODE_RATE_LIMITED",
            Self::Overloaded => "ERROR_CODE_OVERLOADED",
            Self::Unavailable => "ERROR_CODE_UNAVAILABLE",
            Self::NobodyThere => "ERROR_CODE_NOBODY_THERE",
            Self::Internal => "ERROR_CODE_INTERNAL",
        };
        serializer.serialize_str(variant)
    }
}
impl<'de> serde::Deserialize<'de> for ErrorCode {
    #[allow(deprecated)]
    fn deserialize<D>(deserializer: D) -> std::result::Result<Self, D::Error>
    where
        D: serde::Deserializer<'de>,
    {
        const FIELDS: &[&str] = &[
            "ERROR_CODE_UNSPECIFIED",
            "ERROR_CODE_MALFORMED_MESSAGE",
            "ERROR_CODE_MESSAGE_TOO_LARGE",
            "ERROR_CODE_PROTOCOL_VIOLATION",
            "ERROR_CODE_UNIMPLEMENTED",
            "ERROR_CODE_AUTHENTICATION_TIMEOUT",
            "ERROR_CODE_INVALID_TOKEN",
            "ERROR_CODE_NOT_AUTHENTICATED",
            "ERROR_CODE_PERMISSION_DENIED",
            "ERROR_CODE_INVALID_CHANNEL",
            "ERROR_CODE_UNKNOWN_NAMESPACE",
            "ERROR_CODE_ALREADY_SUBSCRIBED",
            "ERROR_CODE_NOT_SUBSCRIBED",
            "ERROR_CODE_TOO_MANY_SUBSCRIPTIONS",
            "ERROR_CODE_UNSUBSCRIBED_BY_SERVER",
            "ERROR_CODE_NO_HISTORY",
            "ERROR_CODE_OTHER_EPOCH",
            "ERROR_CODE_NO_PRESENCE",
            "ERROR_CODE_NO_SIGNALS",
            "ERROR_CODE_UNKNOWN_ROUTE",
            "ERROR_CODE_NO_WORKER",
            "ERROR_CODE_DEADLINE_EXCEEDED",
            "ERROR_CODE_CANCELLED",
            "ERROR_CODE_WORKER_ERROR",
            "ERROR_CODE_DUPLICATE_ID",
            "ERROR_CODE_IN_PROGRESS",
            "ERROR_CODE_IDEMPOTENCY_KEY_REUSED",
            "ERROR_CODE_OUTCOME_UNKNOWN",
            "ERROR_CODE_WILL_FIRED",
            "ERROR_CODE_RATE_LIMITED",
            "ERROR_CODE_OVERLOADED",
            "ERROR_CODE_UNAVAILABLE",
            "ERROR_CODE_NOBODY_THERE",
            "ERROR_CODE_INTERNAL",
        ];

        struct GeneratedVisitor;

        impl serde::de::Visitor<'_> for GeneratedVisitor {
            type Value = ErrorCode;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(formatter, "expected one of: {:?}", &FIELDS)
            }

            fn visit_i64<E>(self, v: i64) -> std::result::Result<Self::Value, E>
            where
                E: serde::de::Error,
            {
                i32::try_from(v)
                    .ok()
                    .and_then(|x| x.try_into().ok())
                    .ok_or_else(|| {
                        serde::de::Error::invalid_value(serde::de::Unexpected::Signed(v), &self)
                    })
            }

            fn visit_u64<E>(self, v: u64) -> std::result::Result<Self::Value, E>
            where
                E: serde::de::Error,
            {
                i32::try_from(v)
                    .ok()
                    .and_then(|x| x.try_into().ok())
                    .ok_or_else(|| {
                        serde::de::Error::invalid_value(serde::de::Unexpected::Unsigned(v), &self)
                    })
            }

            fn visit_str<E>(self, value: &str) -> std::result::Result<Self::Value, E>
            where
                E: serde::de::Error,
            {
                match value {
                    "ERROR_CODE_UNSPECIFIED" => Ok(ErrorCode::Unspecified),
                    "ERROR_CODE_MALFORMED_MESSAGE" => Ok(ErrorCode::MalformedMessage),
                    "ERROR_CODE_MESSAGE_TOO_LARGE" => Ok(ErrorCode::MessageTooLarge),
                    "ERROR_CODE_PROTOCOL_VIOLATION" => Ok(ErrorCode::ProtocolViolation),
                    "ERROR_CODE_UNIMPLEMENTED" => Ok(ErrorCode::Unimplemented),
                    "ERROR_CODE_AUTHENTICATION_TIMEOUT" => Ok(ErrorCode::AuthenticationTimeout),
                    "ERROR_CODE_INVALID_TOKEN" => Ok(ErrorCode::InvalidToken),
                    "ERROR_CODE_NOT_AUTHENTICATED" => Ok(ErrorCode::NotAuthenticated),
                    "ERROR_CODE_PERMISSION_DENIED" => Ok(ErrorCode::PermissionDenied),
                    "ERROR_CODE_INVALID_CHANNEL" => Ok(ErrorCode::InvalidChannel),
                    "ERROR_CODE_UNKNOWN_NAMESPACE" => Ok(ErrorCode::UnknownNamespace),
                    "ERROR_CODE_ALREADY_SUBSCRIBED" => Ok(ErrorCode::AlreadySubscribed),
                    "ERROR_CODE_NOT_SUBSCRIBED" => Ok(ErrorCode::NotSubscribed),
                    "ERROR_CODE_TOO_MANY_SUBSCRIPTIONS" => Ok(ErrorCode::TooManySubscriptions),
                    "ERROR_CODE_UNSUBSCRIBED_BY_SERVER" => Ok(ErrorCode::UnsubscribedByServer),
                    "ERROR_CODE_NO_HISTORY" => Ok(ErrorCode::NoHistory),
                    "ERROR_CODE_OTHER_EPOCH" => Ok(ErrorCode::OtherEpoch),
                    "ERROR_CODE_NO_PRESENCE" => Ok(ErrorCode::NoPresence),
                    "ERROR_CODE_NO_SIGNALS" => Ok(ErrorCode::NoSignals),
                    "ERROR_CODE_UNKNOWN_ROUTE" => Ok(ErrorCode::UnknownRoute),
                    "ERROR_CODE_NO_WORKER" => Ok(ErrorCode::NoWorker),
                    "ERROR_CODE_DEADLINE_EXCEEDED" => Ok(ErrorCode::DeadlineExceeded),
                    "ERROR_CODE_CANCELLED" => Ok(ErrorCode::Cancelled),
                    "ERROR_CODE_WORKER_ERROR" => Ok(ErrorCode::WorkerError),
                    "ERROR_CODE_DUPLICATE_ID" => Ok(ErrorCode::DuplicateId),
                    "ERROR_CODE_IN_PROGRESS" => Ok(ErrorCode::InProgress),
                    "ERROR_CODE_IDEMPOTENCY_KEY_REUSED" => Ok(ErrorCode::IdempotencyKeyReused),
                    "ERROR_CODE_OUTCOME_UNKNOWN" => Ok(ErrorCode::OutcomeUnknown),
                    "ERROR_CODE_WILL_FIRED" => Ok(ErrorCode::WillFired),
                    "ERROR_CODE_RATE_LIMITED" => Ok(ErrorCode::RateLimited),
                    "ERROR_CODE_OVERLOADED" => Ok(ErrorCode::Overloaded),
                    "ERROR_CODE_UNAVAILABLE" => Ok(ErrorCode::Unavailable),
                    "ERROR_CODE_NOBODY_THERE" => Ok(ErrorCode::NobodyThere),
                    "ERROR_CODE_INTERNAL" => Ok(ErrorCode::Internal),
                    _ => Err(serde::de::Error::unknown_variant(value, FIELDS)),
                }
            }
        }
        deserializer.deserialize_any(GeneratedVisitor)
    }
}
impl serde::Serialize for Failure {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if self.code != 0 {
            len += 1;
        }
        if !self.message.is_empty() {
            len += 1;
        }
        if self.retryable {
            len += 1;
        }
        if !self.worker_code.is_empty() {
            len += 1;
        }
        if self.not_executed {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("tidegate.client.v1.Failure", len)?;
        if self.code != 0 {
            let v = ErrorCode::try_from(self.code)
                .map_err(|_| serde::ser::Error::custom(format!("Invalid variant {}", self.code)))?;
            struct_ser.serialize_field("code", &v)?;
        }
        if !self.message.is_empty() {
            struct_ser.serialize_field("message", &self.message)?;
        }
        if self.retryable {
            struct_ser.serialize_field("retryable", &self.retryable)?;
        }
        if !self.worker_code.is_empty() {
            struct_ser.serialize_field("workerCode", &self.worker_code)?;
        }
        if self.not_executed {
            struct_ser.serialize_field("notExecuted", &self.not_executed)?;
        }
        struct_ser.end()
    }
}
impl<'de> serde::Deserialize<'de> for Failure {
    #[allow(deprecated)]
    fn deserialize<D>(deserializer: D) -> std::result::Result<Self, D::Error>
    where
        D: serde::Deserializer<'de>,
    {
        const FIELDS: &[&str] = &[
            "code",
            "message",
            "retryable",
            "worker_code",
            "workerCode",
            "not_executed",
            "notExecuted",
        ];

        #[allow(clippy::enum_variant_names)]
        enum GeneratedField {
            Code,
            Message,
            Retryable,
            WorkerCode,
            NotExecuted,
        }
        impl<'de> serde::Deserialize<'de> for GeneratedField {
            fn deserialize<D>(deserializer: D) -> std::result::Result<GeneratedField, D::Error>
            where
                D: serde::Deserializer<'de>,
            {
                struct GeneratedVisitor;

                impl serde::de::Visitor<'_> for GeneratedVisitor {
                    type Value = GeneratedField;

                    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        write!(formatter, "expected one of: {:?}", &FIELDS)
                    }

                    #[allow(unused_variables)]
                    fn visit_str<E>(self, value: &str) -> std::result::Result<GeneratedField, E>
                    where
                        E: serde::de::Error,
                    {
                        match value {
                            "code" => Ok(GeneratedField::Code),
                            "message" => Ok(GeneratedField::Message),
                            "retryable" => Ok(GeneratedField::Retryable),
                            "workerCode" | "worker_code" => Ok(GeneratedField::WorkerCode),
                            "notExecuted" | "not_executed" => Ok(GeneratedField::NotExecuted),
                            _ => Err(serde::de::Error::unknown_field(value, FIELDS)),
                        }
                    }
                }
                deserializer.deserialize_identifier(GeneratedVisitor)
            }
        }
        struct GeneratedVisitor;
        impl<'de> serde::de::Visitor<'de> for GeneratedVisitor {
            type Value = Failure;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("struct tidegate.client.v1.Failure")
            }

            fn visit_map<V>(self, mut map_: V) -> std::result::Result<Failure, V::Error>
                where
                    V: serde::de::MapAccess<'de>,
            {
                let mut code__ = None;
                let mut message__ = None;
                let mut retryable__ = None;
                let mut worker_code__ = None;
                let mut not_executed__ = None;
                while let Some(k) = map_.next_key()? {
                    match k {
                        GeneratedField::Code => {
                            if code__.is_some() {
                                return Err(serde::de::Error::duplicate_field("code"));
                            }
                            code__ = Some(map_.next_value::<ErrorCode>()? as i32);
                        }
                        GeneratedField::Message => {
                            if message__.is_some() {
                                return Err(serde::de::Error::duplicate_field("message"));
                            }
                            message__ = Some(map_.next_value()?);
                        }
                        GeneratedField::Retryable => {
                            if retryable__.is_some() {
                                return Err(serde::de::Error::duplicate_field("retryable"));
                            }
                            retryable__ = Some(map_.next_value()?);
                        }
                        GeneratedField::WorkerCode => {
                            if worker_code__.is_some() {
                                return Err(serde::de::Error::duplicate_field("workerCode"));
                            }
                            worker_code__ = Some(map_.next_value()?);
                        }
                        GeneratedField::NotExecuted => {
                            if not_executed__.is_some() {
                                return Err(serde::de::Error::duplicate_field("notExecuted"));
                            }
                            not_executed__ = Some(map_.next_value()?);
                        }
                    }
                }
                Ok(Failure {
                    code: code__.unwrap_or_default(),
                    message: message__.unwrap_or_default(),
                    retryable: retryable__.unwrap_or_default(),
                    worker_code: worker_code__.unwrap_or_default(),
                    not_executed: not_executed__.unwrap_or_default(),
                })
            }
        }
        deserializer.deserialize_struct("tidegate.client.v1.Failure", FIELDS, GeneratedVisitor)
    }
}
impl serde::Serialize for Gap {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if self.alias != 0 {
            len += 1;
        }
        if self.dropped != 0 {
            len += 1;
        }
        if self.conflated != 0 {
            len += 1;
        }
        if self.from != 0 {
            len += 1;
        }
        if self.to != 0 {
            len += 1;
        }
        if self.cause != 0 {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("tidegate.client.v1.Gap", len)?;
        if self.alias != 0 {
            struct_ser.serialize_field("alias", &self.alias)?;
        }
        if self.dropped != 0 {
            #[allow(clippy::needless_borrow)]
            #[allow(clippy::needless_borrows_for_generic_args)]
            struct_ser.serialize_field("dropped", ToString::to_string(&self.dropped).as_str())?;
        }
        if self.conflated != 0 {
            #[allow(clippy::needless_borrow)]
            #[allow(clippy::needless_borrows_for_generic_args)]
            struct_ser.serialize_field("conflated", ToString::to_string(&self.conflated).as_str())?;
        }
        if self.from != 0 {
            #[allow(clippy::needless_borrow)]
            #[allow(clippy::needless_borrows_for_generic_args)]
            struct_ser.serialize_field("from", ToString::to_string(&self.from).as_str())?;
        }
        if self.to != 0 {
            #[allow(clippy::needless_borrow)]
            #[allow(clippy::needless_borrows_for_generic_args)]
            struct_ser.serialize_field("to", ToString::to_string(&self.to).as_str())?;
        }
        if self.cause != 0 {
            let v = GapCause::try_from(self.cause)
                .map_err(|_| serde::ser::Error::custom(format!("Invalid variant {}", self.cause)))?;
            struct_ser.serialize_field("cause", &v)?;
        }
        struct_ser.end()
    }
}
impl<'de> serde::Deserialize<'de> for Gap {
    #[allow(deprecated)]
    fn deserialize<D>(deserializer: D) -> std::result::Result<Self, D::Error>
    where
        D: serde::Deserializer<'de>,
    {
        const FIELDS: &[&str] = &[
            "alias",
            "dropped",
            "conflated",
            "from",
            "to",
            "cause",
        ];

        #[allow(clippy::enum_variant_names)]
        enum GeneratedField {
            Alias,
            Dropped,
            Conflated,
            From,
            To,
            Cause,
        }
        impl<'de> serde::Deserialize<'de> for GeneratedField {
            fn deserialize<D>(deserializer: D) -> std::result::Result<GeneratedField, D::Error>
            where
                D: serde::Deserializer<'de>,
            {
                struct GeneratedVisitor;

                impl serde::de::Visitor<'_> for GeneratedVisitor {
                    type Value = GeneratedField;

                    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        write!(formatter, "expected one of: {:?}", &FIELDS)
                    }

                    #[allow(unused_variables)]
                    fn visit_str<E>(self, value: &str) -> std::result::Result<GeneratedField, E>
                    where
                        E: serde::de::Error,
                    {
                        match value {
                            "alias" => Ok(GeneratedField::Alias),
                            "dropped" => Ok(GeneratedField::Dropped),
                            "conflated" => Ok(GeneratedField::Conflated),
                            "from" => Ok(GeneratedField::From),
                            "to" => Ok(GeneratedField::To),
                            "cause" => Ok(GeneratedField::Cause),
                            _ => Err(serde::de::Error::unknown_field(value, FIELDS)),
                        }
                    }
                }
                deserializer.deserialize_identifier(GeneratedVisitor)
            }
        }
        struct GeneratedVisitor;
        impl<'de> serde::de::Visitor<'de> for GeneratedVisitor {
            type Value = Gap;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("struct tidegate.client.v1.Gap")
            }

            fn visit_map<V>(self, mut map_: V) -> std::result::Result<Gap, V::Error>
                where
                    V: serde::de::MapAccess<'de>,
            {
                let mut alias__ = None;
                let mut dropped__ = None;
                let mut conflated__ = None;
                let mut from__ = None;
                let mut to__ = None;
                let mut cause__ = None;
                while let Some(k) = map_.next_key()? {
                    match k {
                        GeneratedField::Alias => {
                            if alias__.is_some() {
                                return Err(serde::de::Error::duplicate_field("alias"));
                            }
                            alias__ = 
                                Some(map_.next_value::<::pbjson::private::NumberDeserialize<_>>()?.0)
                            ;
                        }
                        GeneratedField::Dropped => {
                            if dropped__.is_some() {
                                return Err(serde::de::Error::duplicate_field("dropped"));
                            }
                            dropped__ = 
                                Some(map_.next_value::<::pbjson::private::NumberDeserialize<_>>()?.0)
                            ;
                        }
                        GeneratedField::Conflated => {
                            if conflated__.is_some() {
                                return Err(serde::de::Error::duplicate_field("conflated"));
                            }
                            conflated__ = 
                                Some(map_.next_value::<::pbjson::private::NumberDeserialize<_>>()?.0)
                            ;
                        }
                        GeneratedField::From => {
                            if from__.is_some() {
                                return Err(serde::de::Error::duplicate_field("from"));
                            }
                            from__ = 
                                Some(map_.next_value::<::pbjson::private::NumberDeserialize<_>>()?.0)
                            ;
                        }
                        GeneratedField::To => {
                            if to__.is_some() {
                                return Err(serde::de::Error::duplicate_field("to"));
                            }
                            to__ = 
                                Some(map_.next_value::<::pbjson::private::NumberDeserialize<_>>()?.0)
                            ;
                        }
                        GeneratedField::Cause => {
                            if cause__.is_some() {
                                return Err(serde::de::Error::duplicate_field("cause"));
                            }
                            cause__ = Some(map_.next_value::<GapCause>()? as i32);
                        }
                    }
                }
                Ok(Gap {
                    alias: alias__.unwrap_or_default(),
                    dropped: dropped__.unwrap_or_default(),
                    conflated: conflated__.unwrap_or_default(),
                    from: from__.unwrap_or_default(),
                    to: to__.unwrap_or_default(),
                    cause: cause__.unwrap_or_default(),
                })
            }
        }
        deserializer.deserialize_struct("tidegate.client.v1.Gap", FIELDS, GeneratedVisitor)
    }
}
impl serde::Serialize for GapCause {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        let variant = match self {
            Self::Unspecified => "GAP_CAUSE_UNSPECIFIED",
            Self::SlowConnection => "GAP_CAUSE_SLOW_CONNECTION",
            Self::GatewayOverloaded => "GAP_CAUSE_GATEWAY_OVERLOADED",
            Self::Bus => "GAP_CAUSE_BUS",
            Self::Sampled => "GAP_CAUSE_SAMPLED",
        };
        serializer.serialize_str(variant)
    }
}
impl<'de> serde::Deserialize<'de> for GapCause {
    #[allow(deprecated)]
    fn deserialize<D>(deserializer: D) -> std::result::Result<Self, D::Error>
    where
        D: serde::Deserializer<'de>,
    {
        const FIELDS: &[&str] = &[
            "GAP_CAUSE_UNSPECIFIED",
            "GAP_CAUSE_SLOW_CONNECTION",
            "GAP_CAUSE_GATEWAY_OVERLOADED",
            "GAP_CAUSE_BUS",
            "GAP_CAUSE_SAMPLED",
        ];

        struct GeneratedVisitor;

        impl serde::de::Visitor<'_> for GeneratedVisitor {
            type Value = GapCause;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(formatter, "expected one of: {:?}", &FIELDS)
            }

            fn visit_i64<E>(self, v: i64) -> std::result::Result<Self::Value, E>
            where
                E: serde::de::Error,
            {
                i32::try_from(v)
                    .ok()
                    .and_then(|x| x.try_into().ok())
                    .ok_or_else(|| {
                        serde::de::Error::invalid_value(serde::de::Unexpected::Signed(v), &self)
                    })
            }

            fn visit_u64<E>(self, v: u64) -> std::result::Result<Self::Value, E>
            where
                E: serde::de::Error,
            {
                i32::try_from(v)
                    .ok()
                    .and_then(|x| x.try_into().ok())
                    .ok_or_else(|| {
                        serde::de::Error::invalid_value(serde::de::Unexpected::Unsigned(v), &self)
                    })
            }

            fn visit_str<E>(self, value: &str) -> std::result::Result<Self::Value, E>
            where
                E: serde::de::Error,
            {
                match value {
                    "GAP_CAUSE_UNSPECIFIED" => Ok(GapCause::Unspecified),
                    "GAP_CAUSE_SLOW_CONNECTION" => Ok(GapCause::SlowConnection),
                    "GAP_CAUSE_GATEWAY_OVERLOADED" => Ok(GapCause::GatewayOverloaded),
                    "GAP_CAUSE_BUS" => Ok(GapCause::Bus),
                    "GAP_CAUSE_SAMPLED" => Ok(GapCause::Sampled),
                    _ => Err(serde::de::Error::unknown_variant(value, FIELDS)),
                }
            }
        }
        deserializer.deserialize_any(GeneratedVisitor)
    }
}
impl serde::Serialize for Hello {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if !self.token.is_empty() {
            len += 1;
        }
        if !self.client_name.is_empty() {
            len += 1;
        }
        if !self.client_version.is_empty() {
            len += 1;
        }
        if !self.capabilities.is_empty() {
            len += 1;
        }
        if !self.session_ticket.is_empty() {
            len += 1;
        }
        if self.mailbox_offset != 0 {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("tidegate.client.v1.Hello", len)?;
        if !self.token.is_empty() {
            struct_ser.serialize_field("token", &self.token)?;
        }
        if !self.client_name.is_empty() {
            struct_ser.serialize_field("clientName", &self.client_name)?;
        }
        if !self.client_version.is_empty() {
            struct_ser.serialize_field("clientVersion", &self.client_version)?;
        }
        if !self.capabilities.is_empty() {
            struct_ser.serialize_field("capabilities", &self.capabilities)?;
        }
        if !self.session_ticket.is_empty() {
            #[allow(clippy::needless_borrow)]
            #[allow(clippy::needless_borrows_for_generic_args)]
            struct_ser.serialize_field("sessionTicket", pbjson::private::base64::encode(&self.session_ticket).as_str())?;
        }
        if self.mailbox_offset != 0 {
            #[allow(clippy::needless_borrow)]
            #[allow(clippy::needless_borrows_for_generic_args)]
            struct_ser.serialize_field("mailboxOffset", ToString::to_string(&self.mailbox_offset).as_str())?;
        }
        struct_ser.end()
    }
}
impl<'de> serde::Deserialize<'de> for Hello {
    #[allow(deprecated)]
    fn deserialize<D>(deserializer: D) -> std::result::Result<Self, D::Error>
    where
        D: serde::Deserializer<'de>,
    {
        const FIELDS: &[&str] = &[
            "token",
            "client_name",
            "clientName",
            "client_version",
            "clientVersion",
            "capabilities",
            "session_ticket",
            "sessionTicket",
            "mailbox_offset",
            "mailboxOffset",
        ];

        #[allow(clippy::enum_variant_names)]
        enum GeneratedField {
            Token,
            ClientName,
            ClientVersion,
            Capabilities,
            SessionTicket,
            MailboxOffset,
        }
        impl<'de> serde::Deserialize<'de> for GeneratedField {
            fn deserialize<D>(deserializer: D) -> std::result::Result<GeneratedField, D::Error>
            where
                D: serde::Deserializer<'de>,
            {
                struct GeneratedVisitor;

                impl serde::de::Visitor<'_> for GeneratedVisitor {
                    type Value = GeneratedField;

                    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        write!(formatter, "expected one of: {:?}", &FIELDS)
                    }

                    #[allow(unused_variables)]
                    fn visit_str<E>(self, value: &str) -> std::result::Result<GeneratedField, E>
                    where
                        E: serde::de::Error,
                    {
                        match value {
                            "token" => Ok(GeneratedField::Token),
                            "clientName" | "client_name" => Ok(GeneratedField::ClientName),
                            "clientVersion" | "client_version" => Ok(GeneratedField::ClientVersion),
                            "capabilities" => Ok(GeneratedField::Capabilities),
                            "sessionTicket" | "session_ticket" => Ok(GeneratedField::SessionTicket),
                            "mailboxOffset" | "mailbox_offset" => Ok(GeneratedField::MailboxOffset),
                            _ => Err(serde::de::Error::unknown_field(value, FIELDS)),
                        }
                    }
                }
                deserializer.deserialize_identifier(GeneratedVisitor)
            }
        }
        struct GeneratedVisitor;
        impl<'de> serde::de::Visitor<'de> for GeneratedVisitor {
            type Value = Hello;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("struct tidegate.client.v1.Hello")
            }

            fn visit_map<V>(self, mut map_: V) -> std::result::Result<Hello, V::Error>
                where
                    V: serde::de::MapAccess<'de>,
            {
                let mut token__ = None;
                let mut client_name__ = None;
                let mut client_version__ = None;
                let mut capabilities__ = None;
                let mut session_ticket__ = None;
                let mut mailbox_offset__ = None;
                while let Some(k) = map_.next_key()? {
                    match k {
                        GeneratedField::Token => {
                            if token__.is_some() {
                                return Err(serde::de::Error::duplicate_field("token"));
                            }
                            token__ = Some(map_.next_value()?);
                        }
                        GeneratedField::ClientName => {
                            if client_name__.is_some() {
                                return Err(serde::de::Error::duplicate_field("clientName"));
                            }
                            client_name__ = Some(map_.next_value()?);
                        }
                        GeneratedField::ClientVersion => {
                            if client_version__.is_some() {
                                return Err(serde::de::Error::duplicate_field("clientVersion"));
                            }
                            client_version__ = Some(map_.next_value()?);
                        }
                        GeneratedField::Capabilities => {
                            if capabilities__.is_some() {
                                return Err(serde::de::Error::duplicate_field("capabilities"));
                            }
                            capabilities__ = Some(map_.next_value()?);
                        }
                        GeneratedField::SessionTicket => {
                            if session_ticket__.is_some() {
                                return Err(serde::de::Error::duplicate_field("sessionTicket"));
                            }
                            session_ticket__ = 
                                Some(map_.next_value::<::pbjson::private::BytesDeserialize<_>>()?.0)
                            ;
                        }
                        GeneratedField::MailboxOffset => {
                            if mailbox_offset__.is_some() {
                                return Err(serde::de::Error::duplicate_field("mailboxOffset"));
                            }
                            mailbox_offset__ = 
                                Some(map_.next_value::<::pbjson::private::NumberDeserialize<_>>()?.0)
                            ;
                        }
                    }
                }
                Ok(Hello {
                    token: token__.unwrap_or_default(),
                    client_name: client_name__.unwrap_or_default(),
                    client_version: client_version__.unwrap_or_default(),
                    capabilities: capabilities__.unwrap_or_default(),
                    session_ticket: session_ticket__.unwrap_or_default(),
                    mailbox_offset: mailbox_offset__.unwrap_or_default(),
                })
            }
        }
        deserializer.deserialize_struct("tidegate.client.v1.Hello", FIELDS, GeneratedVisitor)
    }
}
impl serde::Serialize for History {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if self.id != 0 {
            len += 1;
        }
        if !self.channel.is_empty() {
            len += 1;
        }
        if self.since.is_some() {
            len += 1;
        }
        if self.limit != 0 {
            len += 1;
        }
        if self.since_time_ms != 0 {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("tidegate.client.v1.History", len)?;
        if self.id != 0 {
            struct_ser.serialize_field("id", &self.id)?;
        }
        if !self.channel.is_empty() {
            struct_ser.serialize_field("channel", &self.channel)?;
        }
        if let Some(v) = self.since.as_ref() {
            struct_ser.serialize_field("since", v)?;
        }
        if self.limit != 0 {
            struct_ser.serialize_field("limit", &self.limit)?;
        }
        if self.since_time_ms != 0 {
            #[allow(clippy::needless_borrow)]
            #[allow(clippy::needless_borrows_for_generic_args)]
            struct_ser.serialize_field("sinceTimeMs", ToString::to_string(&self.since_time_ms).as_str())?;
        }
        struct_ser.end()
    }
}
impl<'de> serde::Deserialize<'de> for History {
    #[allow(deprecated)]
    fn deserialize<D>(deserializer: D) -> std::result::Result<Self, D::Error>
    where
        D: serde::Deserializer<'de>,
    {
        const FIELDS: &[&str] = &[
            "id",
            "channel",
            "since",
            "limit",
            "since_time_ms",
            "sinceTimeMs",
        ];

        #[allow(clippy::enum_variant_names)]
        enum GeneratedField {
            Id,
            Channel,
            Since,
            Limit,
            SinceTimeMs,
        }
        impl<'de> serde::Deserialize<'de> for GeneratedField {
            fn deserialize<D>(deserializer: D) -> std::result::Result<GeneratedField, D::Error>
            where
                D: serde::Deserializer<'de>,
            {
                struct GeneratedVisitor;

                impl serde::de::Visitor<'_> for GeneratedVisitor {
                    type Value = GeneratedField;

                    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        write!(formatter, "expected one of: {:?}", &FIELDS)
                    }

                    #[allow(unused_variables)]
                    fn visit_str<E>(self, value: &str) -> std::result::Result<GeneratedField, E>
                    where
                        E: serde::de::Error,
                    {
                        match value {
                            "id" => Ok(GeneratedField::Id),
                            "channel" => Ok(GeneratedField::Channel),
                            "since" => Ok(GeneratedField::Since),
                            "limit" => Ok(GeneratedField::Limit),
                            "sinceTimeMs" | "since_time_ms" => Ok(GeneratedField::SinceTimeMs),
                            _ => Err(serde::de::Error::unknown_field(value, FIELDS)),
                        }
                    }
                }
                deserializer.deserialize_identifier(GeneratedVisitor)
            }
        }
        struct GeneratedVisitor;
        impl<'de> serde::de::Visitor<'de> for GeneratedVisitor {
            type Value = History;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("struct tidegate.client.v1.History")
            }

            fn visit_map<V>(self, mut map_: V) -> std::result::Result<History, V::Error>
                where
                    V: serde::de::MapAccess<'de>,
            {
                let mut id__ = None;
                let mut channel__ = None;
                let mut since__ = None;
                let mut limit__ = None;
                let mut since_time_ms__ = None;
                while let Some(k) = map_.next_key()? {
                    match k {
                        GeneratedField::Id => {
                            if id__.is_some() {
                                return Err(serde::de::Error::duplicate_field("id"));
                            }
                            id__ = 
                                Some(map_.next_value::<::pbjson::private::NumberDeserialize<_>>()?.0)
                            ;
                        }
                        GeneratedField::Channel => {
                            if channel__.is_some() {
                                return Err(serde::de::Error::duplicate_field("channel"));
                            }
                            channel__ = Some(map_.next_value()?);
                        }
                        GeneratedField::Since => {
                            if since__.is_some() {
                                return Err(serde::de::Error::duplicate_field("since"));
                            }
                            since__ = map_.next_value()?;
                        }
                        GeneratedField::Limit => {
                            if limit__.is_some() {
                                return Err(serde::de::Error::duplicate_field("limit"));
                            }
                            limit__ = 
                                Some(map_.next_value::<::pbjson::private::NumberDeserialize<_>>()?.0)
                            ;
                        }
                        GeneratedField::SinceTimeMs => {
                            if since_time_ms__.is_some() {
                                return Err(serde::de::Error::duplicate_field("sinceTimeMs"));
                            }
                            since_time_ms__ = 
                                Some(map_.next_value::<::pbjson::private::NumberDeserialize<_>>()?.0)
                            ;
                        }
                    }
                }
                Ok(History {
                    id: id__.unwrap_or_default(),
                    channel: channel__.unwrap_or_default(),
                    since: since__,
                    limit: limit__.unwrap_or_default(),
                    since_time_ms: since_time_ms__.unwrap_or_default(),
                })
            }
        }
        deserializer.deserialize_struct("tidegate.client.v1.History", FIELDS, GeneratedVisitor)
    }
}
impl serde::Serialize for HistoryResult {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if self.id != 0 {
            len += 1;
        }
        if !self.publications.is_empty() {
            len += 1;
        }
        if self.position.is_some() {
            len += 1;
        }
        if self.more {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("tidegate.client.v1.HistoryResult", len)?;
        if self.id != 0 {
            struct_ser.serialize_field("id", &self.id)?;
        }
        if !self.publications.is_empty() {
            struct_ser.serialize_field("publications", &self.publications)?;
        }
        if let Some(v) = self.position.as_ref() {
            struct_ser.serialize_field("position", v)?;
        }
        if self.more {
            struct_ser.serialize_field("more", &self.more)?;
        }
        struct_ser.end()
    }
}
impl<'de> serde::Deserialize<'de> for HistoryResult {
    #[allow(deprecated)]
    fn deserialize<D>(deserializer: D) -> std::result::Result<Self, D::Error>
    where
        D: serde::Deserializer<'de>,
    {
        const FIELDS: &[&str] = &[
            "id",
            "publications",
            "position",
            "more",
        ];

        #[allow(clippy::enum_variant_names)]
        enum GeneratedField {
            Id,
            Publications,
            Position,
            More,
        }
        impl<'de> serde::Deserialize<'de> for GeneratedField {
            fn deserialize<D>(deserializer: D) -> std::result::Result<GeneratedField, D::Error>
            where
                D: serde::Deserializer<'de>,
            {
                struct GeneratedVisitor;

                impl serde::de::Visitor<'_> for GeneratedVisitor {
                    type Value = GeneratedField;

                    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        write!(formatter, "expected one of: {:?}", &FIELDS)
                    }

                    #[allow(unused_variables)]
                    fn visit_str<E>(self, value: &str) -> std::result::Result<GeneratedField, E>
                    where
                        E: serde::de::Error,
                    {
                        match value {
                            "id" => Ok(GeneratedField::Id),
                            "publications" => Ok(GeneratedField::Publications),
                            "position" => Ok(GeneratedField::Position),
                            "more" => Ok(GeneratedField::More),
                            _ => Err(serde::de::Error::unknown_field(value, FIELDS)),
                        }
                    }
                }
                deserializer.deserialize_identifier(GeneratedVisitor)
            }
        }
        struct GeneratedVisitor;
        impl<'de> serde::de::Visitor<'de> for GeneratedVisitor {
            type Value = HistoryResult;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("struct tidegate.client.v1.HistoryResult")
            }

            fn visit_map<V>(self, mut map_: V) -> std::result::Result<HistoryResult, V::Error>
                where
                    V: serde::de::MapAccess<'de>,
            {
                let mut id__ = None;
                let mut publications__ = None;
                let mut position__ = None;
                let mut more__ = None;
                while let Some(k) = map_.next_key()? {
                    match k {
                        GeneratedField::Id => {
                            if id__.is_some() {
                                return Err(serde::de::Error::duplicate_field("id"));
                            }
                            id__ = 
                                Some(map_.next_value::<::pbjson::private::NumberDeserialize<_>>()?.0)
                            ;
                        }
                        GeneratedField::Publications => {
                            if publications__.is_some() {
                                return Err(serde::de::Error::duplicate_field("publications"));
                            }
                            publications__ = Some(map_.next_value()?);
                        }
                        GeneratedField::Position => {
                            if position__.is_some() {
                                return Err(serde::de::Error::duplicate_field("position"));
                            }
                            position__ = map_.next_value()?;
                        }
                        GeneratedField::More => {
                            if more__.is_some() {
                                return Err(serde::de::Error::duplicate_field("more"));
                            }
                            more__ = Some(map_.next_value()?);
                        }
                    }
                }
                Ok(HistoryResult {
                    id: id__.unwrap_or_default(),
                    publications: publications__.unwrap_or_default(),
                    position: position__,
                    more: more__.unwrap_or_default(),
                })
            }
        }
        deserializer.deserialize_struct("tidegate.client.v1.HistoryResult", FIELDS, GeneratedVisitor)
    }
}
impl serde::Serialize for Limits {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if self.max_message_bytes != 0 {
            len += 1;
        }
        if self.max_subscriptions != 0 {
            len += 1;
        }
        if self.max_in_flight != 0 {
            len += 1;
        }
        if self.max_channel_bytes != 0 {
            len += 1;
        }
        if self.messages_per_second != 0 {
            len += 1;
        }
        if self.bytes_per_second != 0 {
            len += 1;
        }
        if self.heartbeat_ms != 0 {
            len += 1;
        }
        if self.max_deadline_ms != 0 {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("tidegate.client.v1.Limits", len)?;
        if self.max_message_bytes != 0 {
            struct_ser.serialize_field("maxMessageBytes", &self.max_message_bytes)?;
        }
        if self.max_subscriptions != 0 {
            struct_ser.serialize_field("maxSubscriptions", &self.max_subscriptions)?;
        }
        if self.max_in_flight != 0 {
            struct_ser.serialize_field("maxInFlight", &self.max_in_flight)?;
        }
        if self.max_channel_bytes != 0 {
            struct_ser.serialize_field("maxChannelBytes", &self.max_channel_bytes)?;
        }
        if self.messages_per_second != 0 {
            struct_ser.serialize_field("messagesPerSecond", &self.messages_per_second)?;
        }
        if self.bytes_per_second != 0 {
            struct_ser.serialize_field("bytesPerSecond", &self.bytes_per_second)?;
        }
        if self.heartbeat_ms != 0 {
            struct_ser.serialize_field("heartbeatMs", &self.heartbeat_ms)?;
        }
        if self.max_deadline_ms != 0 {
            struct_ser.serialize_field("maxDeadlineMs", &self.max_deadline_ms)?;
        }
        struct_ser.end()
    }
}
impl<'de> serde::Deserialize<'de> for Limits {
    #[allow(deprecated)]
    fn deserialize<D>(deserializer: D) -> std::result::Result<Self, D::Error>
    where
        D: serde::Deserializer<'de>,
    {
        const FIELDS: &[&str] = &[
            "max_message_bytes",
            "maxMessageBytes",
            "max_subscriptions",
            "maxSubscriptions",
            "max_in_flight",
            "maxInFlight",
            "max_channel_bytes",
            "maxChannelBytes",
            "messages_per_second",
            "messagesPerSecond",
            "bytes_per_second",
            "bytesPerSecond",
            "heartbeat_ms",
            "heartbeatMs",
            "max_deadline_ms",
            "maxDeadlineMs",
        ];

        #[allow(clippy::enum_variant_names)]
        enum GeneratedField {
            MaxMessageBytes,
            MaxSubscriptions,
            MaxInFlight,
            MaxChannelBytes,
            MessagesPerSecond,
            BytesPerSecond,
            HeartbeatMs,
            MaxDeadlineMs,
        }
        impl<'de> serde::Deserialize<'de> for GeneratedField {
            fn deserialize<D>(deserializer: D) -> std::result::Result<GeneratedField, D::Error>
            where
                D: serde::Deserializer<'de>,
            {
                struct GeneratedVisitor;

                impl serde::de::Visitor<'_> for GeneratedVisitor {
                    type Value = GeneratedField;

                    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        write!(formatter, "expected one of: {:?}", &FIELDS)
                    }

                    #[allow(unused_variables)]
                    fn visit_str<E>(self, value: &str) -> std::result::Result<GeneratedField, E>
                    where
                        E: serde::de::Error,
                    {
                        match value {
                            "maxMessageBytes" | "max_message_bytes" => Ok(GeneratedField::MaxMessageBytes),
                            "maxSubscriptions" | "max_subscriptions" => Ok(GeneratedField::MaxSubscriptions),
                            "maxInFlight" | "max_in_flight" => Ok(GeneratedField::MaxInFlight),
                            "maxChannelBytes" | "max_channel_bytes" => Ok(GeneratedField::MaxChannelBytes),
                            "messagesPerSecond" | "messages_per_second" => Ok(GeneratedField::MessagesPerSecond),
                            "bytesPerSecond" | "bytes_per_second" => Ok(GeneratedField::BytesPerSecond),
                            "heartbeatMs" | "heartbeat_ms" => Ok(GeneratedField::HeartbeatMs),
                            "maxDeadlineMs" | "max_deadline_ms" => Ok(GeneratedField::MaxDeadlineMs),
                            _ => Err(serde::de::Error::unknown_field(value, FIELDS)),
                        }
                    }
                }
                deserializer.deserialize_identifier(GeneratedVisitor)
            }
        }
        struct GeneratedVisitor;
        impl<'de> serde::de::Visitor<'de> for GeneratedVisitor {
            type Value = Limits;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("struct tidegate.client.v1.Limits")
            }

            fn visit_map<V>(self, mut map_: V) -> std::result::Result<Limits, V::Error>
                where
                    V: serde::de::MapAccess<'de>,
            {
                let mut max_message_bytes__ = None;
                let mut max_subscriptions__ = None;
                let mut max_in_flight__ = None;
                let mut max_channel_bytes__ = None;
                let mut messages_per_second__ = None;
                let mut bytes_per_second__ = None;
                let mut heartbeat_ms__ = None;
                let mut max_deadline_ms__ = None;
                while let Some(k) = map_.next_key()? {
                    match k {
                        GeneratedField::MaxMessageBytes => {
                            if max_message_bytes__.is_some() {
                                return Err(serde::de::Error::duplicate_field("maxMessageBytes"));
                            }
                            max_message_bytes__ = 
                                Some(map_.next_value::<::pbjson::private::NumberDeserialize<_>>()?.0)
                            ;
                        }
                        GeneratedField::MaxSubscriptions => {
                            if max_subscriptions__.is_some() {
                                return Err(serde::de::Error::duplicate_field("maxSubscriptions"));
                            }
                            max_subscriptions__ = 
                                Some(map_.next_value::<::pbjson::private::NumberDeserialize<_>>()?.0)
                            ;
                        }
                        GeneratedField::MaxInFlight => {
                            if max_in_flight__.is_some() {
                                return Err(serde::de::Error::duplicate_field("maxInFlight"));
                            }
                            max_in_flight__ = 
                                Some(map_.next_value::<::pbjson::private::NumberDeserialize<_>>()?.0)
                            ;
                        }
                        GeneratedField::MaxChannelBytes => {
                            if max_channel_bytes__.is_some() {
                                return Err(serde::de::Error::duplicate_field("maxChannelBytes"));
                            }
                            max_channel_bytes__ = 
                                Some(map_.next_value::<::pbjson::private::NumberDeserialize<_>>()?.0)
                            ;
                        }
                        GeneratedField::MessagesPerSecond => {
                            if messages_per_second__.is_some() {
                                return Err(serde::de::Error::duplicate_field("messagesPerSecond"));
                            }
                            messages_per_second__ = 
                                Some(map_.next_value::<::pbjson::private::NumberDeserialize<_>>()?.0)
                            ;
                        }
                        GeneratedField::BytesPerSecond => {
                            if bytes_per_second__.is_some() {
                                return Err(serde::de::Error::duplicate_field("bytesPerSecond"));
                            }
                            bytes_per_second__ = 
                                Some(map_.next_value::<::pbjson::private::NumberDeserialize<_>>()?.0)
                            ;
                        }
                        GeneratedField::HeartbeatMs => {
                            if heartbeat_ms__.is_some() {
                                return Err(serde::de::Error::duplicate_field("heartbeatMs"));
                            }
                            heartbeat_ms__ = 
                                Some(map_.next_value::<::pbjson::private::NumberDeserialize<_>>()?.0)
                            ;
                        }
                        GeneratedField::MaxDeadlineMs => {
                            if max_deadline_ms__.is_some() {
                                return Err(serde::de::Error::duplicate_field("maxDeadlineMs"));
                            }
                            max_deadline_ms__ = 
                                Some(map_.next_value::<::pbjson::private::NumberDeserialize<_>>()?.0)
                            ;
                        }
                    }
                }
                Ok(Limits {
                    max_message_bytes: max_message_bytes__.unwrap_or_default(),
                    max_subscriptions: max_subscriptions__.unwrap_or_default(),
                    max_in_flight: max_in_flight__.unwrap_or_default(),
                    max_channel_bytes: max_channel_bytes__.unwrap_or_default(),
                    messages_per_second: messages_per_second__.unwrap_or_default(),
                    bytes_per_second: bytes_per_second__.unwrap_or_default(),
                    heartbeat_ms: heartbeat_ms__.unwrap_or_default(),
                    max_deadline_ms: max_deadline_ms__.unwrap_or_default(),
                })
            }
        }
        deserializer.deserialize_struct("tidegate.client.v1.Limits", FIELDS, GeneratedVisitor)
    }
}
impl serde::Serialize for Member {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if !self.user.is_empty() {
            len += 1;
        }
        if !self.connection_id.is_empty() {
            len += 1;
        }
        if !self.session_id.is_empty() {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("tidegate.client.v1.Member", len)?;
        if !self.user.is_empty() {
            struct_ser.serialize_field("user", &self.user)?;
        }
        if !self.connection_id.is_empty() {
            struct_ser.serialize_field("connectionId", &self.connection_id)?;
        }
        if !self.session_id.is_empty() {
            struct_ser.serialize_field("sessionId", &self.session_id)?;
        }
        struct_ser.end()
    }
}
impl<'de> serde::Deserialize<'de> for Member {
    #[allow(deprecated)]
    fn deserialize<D>(deserializer: D) -> std::result::Result<Self, D::Error>
    where
        D: serde::Deserializer<'de>,
    {
        const FIELDS: &[&str] = &[
            "user",
            "connection_id",
            "connectionId",
            "session_id",
            "sessionId",
        ];

        #[allow(clippy::enum_variant_names)]
        enum GeneratedField {
            User,
            ConnectionId,
            SessionId,
        }
        impl<'de> serde::Deserialize<'de> for GeneratedField {
            fn deserialize<D>(deserializer: D) -> std::result::Result<GeneratedField, D::Error>
            where
                D: serde::Deserializer<'de>,
            {
                struct GeneratedVisitor;

                impl serde::de::Visitor<'_> for GeneratedVisitor {
                    type Value = GeneratedField;

                    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        write!(formatter, "expected one of: {:?}", &FIELDS)
                    }

                    #[allow(unused_variables)]
                    fn visit_str<E>(self, value: &str) -> std::result::Result<GeneratedField, E>
                    where
                        E: serde::de::Error,
                    {
                        match value {
                            "user" => Ok(GeneratedField::User),
                            "connectionId" | "connection_id" => Ok(GeneratedField::ConnectionId),
                            "sessionId" | "session_id" => Ok(GeneratedField::SessionId),
                            _ => Err(serde::de::Error::unknown_field(value, FIELDS)),
                        }
                    }
                }
                deserializer.deserialize_identifier(GeneratedVisitor)
            }
        }
        struct GeneratedVisitor;
        impl<'de> serde::de::Visitor<'de> for GeneratedVisitor {
            type Value = Member;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("struct tidegate.client.v1.Member")
            }

            fn visit_map<V>(self, mut map_: V) -> std::result::Result<Member, V::Error>
                where
                    V: serde::de::MapAccess<'de>,
            {
                let mut user__ = None;
                let mut connection_id__ = None;
                let mut session_id__ = None;
                while let Some(k) = map_.next_key()? {
                    match k {
                        GeneratedField::User => {
                            if user__.is_some() {
                                return Err(serde::de::Error::duplicate_field("user"));
                            }
                            user__ = Some(map_.next_value()?);
                        }
                        GeneratedField::ConnectionId => {
                            if connection_id__.is_some() {
                                return Err(serde::de::Error::duplicate_field("connectionId"));
                            }
                            connection_id__ = Some(map_.next_value()?);
                        }
                        GeneratedField::SessionId => {
                            if session_id__.is_some() {
                                return Err(serde::de::Error::duplicate_field("sessionId"));
                            }
                            session_id__ = Some(map_.next_value()?);
                        }
                    }
                }
                Ok(Member {
                    user: user__.unwrap_or_default(),
                    connection_id: connection_id__.unwrap_or_default(),
                    session_id: session_id__.unwrap_or_default(),
                })
            }
        }
        deserializer.deserialize_struct("tidegate.client.v1.Member", FIELDS, GeneratedVisitor)
    }
}
impl serde::Serialize for Migrate {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if !self.session_ticket.is_empty() {
            len += 1;
        }
        if self.spread_ms != 0 {
            len += 1;
        }
        if self.deadline_ms != 0 {
            len += 1;
        }
        if !self.hint.is_empty() {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("tidegate.client.v1.Migrate", len)?;
        if !self.session_ticket.is_empty() {
            #[allow(clippy::needless_borrow)]
            #[allow(clippy::needless_borrows_for_generic_args)]
            struct_ser.serialize_field("sessionTicket", pbjson::private::base64::encode(&self.session_ticket).as_str())?;
        }
        if self.spread_ms != 0 {
            struct_ser.serialize_field("spreadMs", &self.spread_ms)?;
        }
        if self.deadline_ms != 0 {
            struct_ser.serialize_field("deadlineMs", &self.deadline_ms)?;
        }
        if !self.hint.is_empty() {
            struct_ser.serialize_field("hint", &self.hint)?;
        }
        struct_ser.end()
    }
}
impl<'de> serde::Deserialize<'de> for Migrate {
    #[allow(deprecated)]
    fn deserialize<D>(deserializer: D) -> std::result::Result<Self, D::Error>
    where
        D: serde::Deserializer<'de>,
    {
        const FIELDS: &[&str] = &[
            "session_ticket",
            "sessionTicket",
            "spread_ms",
            "spreadMs",
            "deadline_ms",
            "deadlineMs",
            "hint",
        ];

        #[allow(clippy::enum_variant_names)]
        enum GeneratedField {
            SessionTicket,
            SpreadMs,
            DeadlineMs,
            Hint,
        }
        impl<'de> serde::Deserialize<'de> for GeneratedField {
            fn deserialize<D>(deserializer: D) -> std::result::Result<GeneratedField, D::Error>
            where
                D: serde::Deserializer<'de>,
            {
                struct GeneratedVisitor;

                impl serde::de::Visitor<'_> for GeneratedVisitor {
                    type Value = GeneratedField;

                    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        write!(formatter, "expected one of: {:?}", &FIELDS)
                    }

                    #[allow(unused_variables)]
                    fn visit_str<E>(self, value: &str) -> std::result::Result<GeneratedField, E>
                    where
                        E: serde::de::Error,
                    {
                        match value {
                            "sessionTicket" | "session_ticket" => Ok(GeneratedField::SessionTicket),
                            "spreadMs" | "spread_ms" => Ok(GeneratedField::SpreadMs),
                            "deadlineMs" | "deadline_ms" => Ok(GeneratedField::DeadlineMs),
                            "hint" => Ok(GeneratedField::Hint),
                            _ => Err(serde::de::Error::unknown_field(value, FIELDS)),
                        }
                    }
                }
                deserializer.deserialize_identifier(GeneratedVisitor)
            }
        }
        struct GeneratedVisitor;
        impl<'de> serde::de::Visitor<'de> for GeneratedVisitor {
            type Value = Migrate;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("struct tidegate.client.v1.Migrate")
            }

            fn visit_map<V>(self, mut map_: V) -> std::result::Result<Migrate, V::Error>
                where
                    V: serde::de::MapAccess<'de>,
            {
                let mut session_ticket__ = None;
                let mut spread_ms__ = None;
                let mut deadline_ms__ = None;
                let mut hint__ = None;
                while let Some(k) = map_.next_key()? {
                    match k {
                        GeneratedField::SessionTicket => {
                            if session_ticket__.is_some() {
                                return Err(serde::de::Error::duplicate_field("sessionTicket"));
                            }
                            session_ticket__ = 
                                Some(map_.next_value::<::pbjson::private::BytesDeserialize<_>>()?.0)
                            ;
                        }
                        GeneratedField::SpreadMs => {
                            if spread_ms__.is_some() {
                                return Err(serde::de::Error::duplicate_field("spreadMs"));
                            }
                            spread_ms__ = 
                                Some(map_.next_value::<::pbjson::private::NumberDeserialize<_>>()?.0)
                            ;
                        }
                        GeneratedField::DeadlineMs => {
                            if deadline_ms__.is_some() {
                                return Err(serde::de::Error::duplicate_field("deadlineMs"));
                            }
                            deadline_ms__ = 
                                Some(map_.next_value::<::pbjson::private::NumberDeserialize<_>>()?.0)
                            ;
                        }
                        GeneratedField::Hint => {
                            if hint__.is_some() {
                                return Err(serde::de::Error::duplicate_field("hint"));
                            }
                            hint__ = Some(map_.next_value()?);
                        }
                    }
                }
                Ok(Migrate {
                    session_ticket: session_ticket__.unwrap_or_default(),
                    spread_ms: spread_ms__.unwrap_or_default(),
                    deadline_ms: deadline_ms__.unwrap_or_default(),
                    hint: hint__.unwrap_or_default(),
                })
            }
        }
        deserializer.deserialize_struct("tidegate.client.v1.Migrate", FIELDS, GeneratedVisitor)
    }
}
impl serde::Serialize for Notice {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if !self.kind.is_empty() {
            len += 1;
        }
        if !self.message.is_empty() {
            len += 1;
        }
        if self.in_ms != 0 {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("tidegate.client.v1.Notice", len)?;
        if !self.kind.is_empty() {
            struct_ser.serialize_field("kind", &self.kind)?;
        }
        if !self.message.is_empty() {
            struct_ser.serialize_field("message", &self.message)?;
        }
        if self.in_ms != 0 {
            struct_ser.serialize_field("inMs", &self.in_ms)?;
        }
        struct_ser.end()
    }
}
impl<'de> serde::Deserialize<'de> for Notice {
    #[allow(deprecated)]
    fn deserialize<D>(deserializer: D) -> std::result::Result<Self, D::Error>
    where
        D: serde::Deserializer<'de>,
    {
        const FIELDS: &[&str] = &[
            "kind",
            "message",
            "in_ms",
            "inMs",
        ];

        #[allow(clippy::enum_variant_names)]
        enum GeneratedField {
            Kind,
            Message,
            InMs,
        }
        impl<'de> serde::Deserialize<'de> for GeneratedField {
            fn deserialize<D>(deserializer: D) -> std::result::Result<GeneratedField, D::Error>
            where
                D: serde::Deserializer<'de>,
            {
                struct GeneratedVisitor;

                impl serde::de::Visitor<'_> for GeneratedVisitor {
                    type Value = GeneratedField;

                    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        write!(formatter, "expected one of: {:?}", &FIELDS)
                    }

                    #[allow(unused_variables)]
                    fn visit_str<E>(self, value: &str) -> std::result::Result<GeneratedField, E>
                    where
                        E: serde::de::Error,
                    {
                        match value {
                            "kind" => Ok(GeneratedField::Kind),
                            "message" => Ok(GeneratedField::Message),
                            "inMs" | "in_ms" => Ok(GeneratedField::InMs),
                            _ => Err(serde::de::Error::unknown_field(value, FIELDS)),
                        }
                    }
                }
                deserializer.deserialize_identifier(GeneratedVisitor)
            }
        }
        struct GeneratedVisitor;
        impl<'de> serde::de::Visitor<'de> for GeneratedVisitor {
            type Value = Notice;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("struct tidegate.client.v1.Notice")
            }

            fn visit_map<V>(self, mut map_: V) -> std::result::Result<Notice, V::Error>
                where
                    V: serde::de::MapAccess<'de>,
            {
                let mut kind__ = None;
                let mut message__ = None;
                let mut in_ms__ = None;
                while let Some(k) = map_.next_key()? {
                    match k {
                        GeneratedField::Kind => {
                            if kind__.is_some() {
                                return Err(serde::de::Error::duplicate_field("kind"));
                            }
                            kind__ = Some(map_.next_value()?);
                        }
                        GeneratedField::Message => {
                            if message__.is_some() {
                                return Err(serde::de::Error::duplicate_field("message"));
                            }
                            message__ = Some(map_.next_value()?);
                        }
                        GeneratedField::InMs => {
                            if in_ms__.is_some() {
                                return Err(serde::de::Error::duplicate_field("inMs"));
                            }
                            in_ms__ = 
                                Some(map_.next_value::<::pbjson::private::NumberDeserialize<_>>()?.0)
                            ;
                        }
                    }
                }
                Ok(Notice {
                    kind: kind__.unwrap_or_default(),
                    message: message__.unwrap_or_default(),
                    in_ms: in_ms__.unwrap_or_default(),
                })
            }
        }
        deserializer.deserialize_struct("tidegate.client.v1.Notice", FIELDS, GeneratedVisitor)
    }
}
impl serde::Serialize for Ping {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if self.nonce != 0 {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("tidegate.client.v1.Ping", len)?;
        if self.nonce != 0 {
            struct_ser.serialize_field("nonce", &self.nonce)?;
        }
        struct_ser.end()
    }
}
impl<'de> serde::Deserialize<'de> for Ping {
    #[allow(deprecated)]
    fn deserialize<D>(deserializer: D) -> std::result::Result<Self, D::Error>
    where
        D: serde::Deserializer<'de>,
    {
        const FIELDS: &[&str] = &[
            "nonce",
        ];

        #[allow(clippy::enum_variant_names)]
        enum GeneratedField {
            Nonce,
        }
        impl<'de> serde::Deserialize<'de> for GeneratedField {
            fn deserialize<D>(deserializer: D) -> std::result::Result<GeneratedField, D::Error>
            where
                D: serde::Deserializer<'de>,
            {
                struct GeneratedVisitor;

                impl serde::de::Visitor<'_> for GeneratedVisitor {
                    type Value = GeneratedField;

                    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        write!(formatter, "expected one of: {:?}", &FIELDS)
                    }

                    #[allow(unused_variables)]
                    fn visit_str<E>(self, value: &str) -> std::result::Result<GeneratedField, E>
                    where
                        E: serde::de::Error,
                    {
                        match value {
                            "nonce" => Ok(GeneratedField::Nonce),
                            _ => Err(serde::de::Error::unknown_field(value, FIELDS)),
                        }
                    }
                }
                deserializer.deserialize_identifier(GeneratedVisitor)
            }
        }
        struct GeneratedVisitor;
        impl<'de> serde::de::Visitor<'de> for GeneratedVisitor {
            type Value = Ping;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("struct tidegate.client.v1.Ping")
            }

            fn visit_map<V>(self, mut map_: V) -> std::result::Result<Ping, V::Error>
                where
                    V: serde::de::MapAccess<'de>,
            {
                let mut nonce__ = None;
                while let Some(k) = map_.next_key()? {
                    match k {
                        GeneratedField::Nonce => {
                            if nonce__.is_some() {
                                return Err(serde::de::Error::duplicate_field("nonce"));
                            }
                            nonce__ = 
                                Some(map_.next_value::<::pbjson::private::NumberDeserialize<_>>()?.0)
                            ;
                        }
                    }
                }
                Ok(Ping {
                    nonce: nonce__.unwrap_or_default(),
                })
            }
        }
        deserializer.deserialize_struct("tidegate.client.v1.Ping", FIELDS, GeneratedVisitor)
    }
}
impl serde::Serialize for Pong {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if self.nonce != 0 {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("tidegate.client.v1.Pong", len)?;
        if self.nonce != 0 {
            struct_ser.serialize_field("nonce", &self.nonce)?;
        }
        struct_ser.end()
    }
}
impl<'de> serde::Deserialize<'de> for Pong {
    #[allow(deprecated)]
    fn deserialize<D>(deserializer: D) -> std::result::Result<Self, D::Error>
    where
        D: serde::Deserializer<'de>,
    {
        const FIELDS: &[&str] = &[
            "nonce",
        ];

        #[allow(clippy::enum_variant_names)]
        enum GeneratedField {
            Nonce,
        }
        impl<'de> serde::Deserialize<'de> for GeneratedField {
            fn deserialize<D>(deserializer: D) -> std::result::Result<GeneratedField, D::Error>
            where
                D: serde::Deserializer<'de>,
            {
                struct GeneratedVisitor;

                impl serde::de::Visitor<'_> for GeneratedVisitor {
                    type Value = GeneratedField;

                    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        write!(formatter, "expected one of: {:?}", &FIELDS)
                    }

                    #[allow(unused_variables)]
                    fn visit_str<E>(self, value: &str) -> std::result::Result<GeneratedField, E>
                    where
                        E: serde::de::Error,
                    {
                        match value {
                            "nonce" => Ok(GeneratedField::Nonce),
                            _ => Err(serde::de::Error::unknown_field(value, FIELDS)),
                        }
                    }
                }
                deserializer.deserialize_identifier(GeneratedVisitor)
            }
        }
        struct GeneratedVisitor;
        impl<'de> serde::de::Visitor<'de> for GeneratedVisitor {
            type Value = Pong;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("struct tidegate.client.v1.Pong")
            }

            fn visit_map<V>(self, mut map_: V) -> std::result::Result<Pong, V::Error>
                where
                    V: serde::de::MapAccess<'de>,
            {
                let mut nonce__ = None;
                while let Some(k) = map_.next_key()? {
                    match k {
                        GeneratedField::Nonce => {
                            if nonce__.is_some() {
                                return Err(serde::de::Error::duplicate_field("nonce"));
                            }
                            nonce__ = 
                                Some(map_.next_value::<::pbjson::private::NumberDeserialize<_>>()?.0)
                            ;
                        }
                    }
                }
                Ok(Pong {
                    nonce: nonce__.unwrap_or_default(),
                })
            }
        }
        deserializer.deserialize_struct("tidegate.client.v1.Pong", FIELDS, GeneratedVisitor)
    }
}
impl serde::Serialize for Position {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if !self.epoch.is_empty() {
            len += 1;
        }
        if self.offset != 0 {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("tidegate.client.v1.Position", len)?;
        if !self.epoch.is_empty() {
            struct_ser.serialize_field("epoch", &self.epoch)?;
        }
        if self.offset != 0 {
            #[allow(clippy::needless_borrow)]
            #[allow(clippy::needless_borrows_for_generic_args)]
            struct_ser.serialize_field("offset", ToString::to_string(&self.offset).as_str())?;
        }
        struct_ser.end()
    }
}
impl<'de> serde::Deserialize<'de> for Position {
    #[allow(deprecated)]
    fn deserialize<D>(deserializer: D) -> std::result::Result<Self, D::Error>
    where
        D: serde::Deserializer<'de>,
    {
        const FIELDS: &[&str] = &[
            "epoch",
            "offset",
        ];

        #[allow(clippy::enum_variant_names)]
        enum GeneratedField {
            Epoch,
            Offset,
        }
        impl<'de> serde::Deserialize<'de> for GeneratedField {
            fn deserialize<D>(deserializer: D) -> std::result::Result<GeneratedField, D::Error>
            where
                D: serde::Deserializer<'de>,
            {
                struct GeneratedVisitor;

                impl serde::de::Visitor<'_> for GeneratedVisitor {
                    type Value = GeneratedField;

                    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        write!(formatter, "expected one of: {:?}", &FIELDS)
                    }

                    #[allow(unused_variables)]
                    fn visit_str<E>(self, value: &str) -> std::result::Result<GeneratedField, E>
                    where
                        E: serde::de::Error,
                    {
                        match value {
                            "epoch" => Ok(GeneratedField::Epoch),
                            "offset" => Ok(GeneratedField::Offset),
                            _ => Err(serde::de::Error::unknown_field(value, FIELDS)),
                        }
                    }
                }
                deserializer.deserialize_identifier(GeneratedVisitor)
            }
        }
        struct GeneratedVisitor;
        impl<'de> serde::de::Visitor<'de> for GeneratedVisitor {
            type Value = Position;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("struct tidegate.client.v1.Position")
            }

            fn visit_map<V>(self, mut map_: V) -> std::result::Result<Position, V::Error>
                where
                    V: serde::de::MapAccess<'de>,
            {
                let mut epoch__ = None;
                let mut offset__ = None;
                while let Some(k) = map_.next_key()? {
                    match k {
                        GeneratedField::Epoch => {
                            if epoch__.is_some() {
                                return Err(serde::de::Error::duplicate_field("epoch"));
                            }
                            epoch__ = Some(map_.next_value()?);
                        }
                        GeneratedField::Offset => {
                            if offset__.is_some() {
                                return Err(serde::de::Error::duplicate_field("offset"));
                            }
                            offset__ = 
                                Some(map_.next_value::<::pbjson::private::NumberDeserialize<_>>()?.0)
                            ;
                        }
                    }
                }
                Ok(Position {
                    epoch: epoch__.unwrap_or_default(),
                    offset: offset__.unwrap_or_default(),
                })
            }
        }
        deserializer.deserialize_struct("tidegate.client.v1.Position", FIELDS, GeneratedVisitor)
    }
}
impl serde::Serialize for Presence {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if self.id != 0 {
            len += 1;
        }
        if !self.channel.is_empty() {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("tidegate.client.v1.Presence", len)?;
        if self.id != 0 {
            struct_ser.serialize_field("id", &self.id)?;
        }
        if !self.channel.is_empty() {
            struct_ser.serialize_field("channel", &self.channel)?;
        }
        struct_ser.end()
    }
}
impl<'de> serde::Deserialize<'de> for Presence {
    #[allow(deprecated)]
    fn deserialize<D>(deserializer: D) -> std::result::Result<Self, D::Error>
    where
        D: serde::Deserializer<'de>,
    {
        const FIELDS: &[&str] = &[
            "id",
            "channel",
        ];

        #[allow(clippy::enum_variant_names)]
        enum GeneratedField {
            Id,
            Channel,
        }
        impl<'de> serde::Deserialize<'de> for GeneratedField {
            fn deserialize<D>(deserializer: D) -> std::result::Result<GeneratedField, D::Error>
            where
                D: serde::Deserializer<'de>,
            {
                struct GeneratedVisitor;

                impl serde::de::Visitor<'_> for GeneratedVisitor {
                    type Value = GeneratedField;

                    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        write!(formatter, "expected one of: {:?}", &FIELDS)
                    }

                    #[allow(unused_variables)]
                    fn visit_str<E>(self, value: &str) -> std::result::Result<GeneratedField, E>
                    where
                        E: serde::de::Error,
                    {
                        match value {
                            "id" => Ok(GeneratedField::Id),
                            "channel" => Ok(GeneratedField::Channel),
                            _ => Err(serde::de::Error::unknown_field(value, FIELDS)),
                        }
                    }
                }
                deserializer.deserialize_identifier(GeneratedVisitor)
            }
        }
        struct GeneratedVisitor;
        impl<'de> serde::de::Visitor<'de> for GeneratedVisitor {
            type Value = Presence;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("struct tidegate.client.v1.Presence")
            }

            fn visit_map<V>(self, mut map_: V) -> std::result::Result<Presence, V::Error>
                where
                    V: serde::de::MapAccess<'de>,
            {
                let mut id__ = None;
                let mut channel__ = None;
                while let Some(k) = map_.next_key()? {
                    match k {
                        GeneratedField::Id => {
                            if id__.is_some() {
                                return Err(serde::de::Error::duplicate_field("id"));
                            }
                            id__ = 
                                Some(map_.next_value::<::pbjson::private::NumberDeserialize<_>>()?.0)
                            ;
                        }
                        GeneratedField::Channel => {
                            if channel__.is_some() {
                                return Err(serde::de::Error::duplicate_field("channel"));
                            }
                            channel__ = Some(map_.next_value()?);
                        }
                    }
                }
                Ok(Presence {
                    id: id__.unwrap_or_default(),
                    channel: channel__.unwrap_or_default(),
                })
            }
        }
        deserializer.deserialize_struct("tidegate.client.v1.Presence", FIELDS, GeneratedVisitor)
    }
}
impl serde::Serialize for PresenceChange {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if self.alias != 0 {
            len += 1;
        }
        if !self.joined.is_empty() {
            len += 1;
        }
        if !self.left.is_empty() {
            len += 1;
        }
        if self.sessions != 0 {
            len += 1;
        }
        if self.users != 0 {
            len += 1;
        }
        if self.snapshot {
            len += 1;
        }
        if self.sampled {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("tidegate.client.v1.PresenceChange", len)?;
        if self.alias != 0 {
            struct_ser.serialize_field("alias", &self.alias)?;
        }
        if !self.joined.is_empty() {
            struct_ser.serialize_field("joined", &self.joined)?;
        }
        if !self.left.is_empty() {
            struct_ser.serialize_field("left", &self.left)?;
        }
        if self.sessions != 0 {
            #[allow(clippy::needless_borrow)]
            #[allow(clippy::needless_borrows_for_generic_args)]
            struct_ser.serialize_field("sessions", ToString::to_string(&self.sessions).as_str())?;
        }
        if self.users != 0 {
            #[allow(clippy::needless_borrow)]
            #[allow(clippy::needless_borrows_for_generic_args)]
            struct_ser.serialize_field("users", ToString::to_string(&self.users).as_str())?;
        }
        if self.snapshot {
            struct_ser.serialize_field("snapshot", &self.snapshot)?;
        }
        if self.sampled {
            struct_ser.serialize_field("sampled", &self.sampled)?;
        }
        struct_ser.end()
    }
}
impl<'de> serde::Deserialize<'de> for PresenceChange {
    #[allow(deprecated)]
    fn deserialize<D>(deserializer: D) -> std::result::Result<Self, D::Error>
    where
        D: serde::Deserializer<'de>,
    {
        const FIELDS: &[&str] = &[
            "alias",
            "joined",
            "left",
            "sessions",
            "users",
            "snapshot",
            "sampled",
        ];

        #[allow(clippy::enum_variant_names)]
        enum GeneratedField {
            Alias,
            Joined,
            Left,
            Sessions,
            Users,
            Snapshot,
            Sampled,
        }
        impl<'de> serde::Deserialize<'de> for GeneratedField {
            fn deserialize<D>(deserializer: D) -> std::result::Result<GeneratedField, D::Error>
            where
                D: serde::Deserializer<'de>,
            {
                struct GeneratedVisitor;

                impl serde::de::Visitor<'_> for GeneratedVisitor {
                    type Value = GeneratedField;

                    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        write!(formatter, "expected one of: {:?}", &FIELDS)
                    }

                    #[allow(unused_variables)]
                    fn visit_str<E>(self, value: &str) -> std::result::Result<GeneratedField, E>
                    where
                        E: serde::de::Error,
                    {
                        match value {
                            "alias" => Ok(GeneratedField::Alias),
                            "joined" => Ok(GeneratedField::Joined),
                            "left" => Ok(GeneratedField::Left),
                            "sessions" => Ok(GeneratedField::Sessions),
                            "users" => Ok(GeneratedField::Users),
                            "snapshot" => Ok(GeneratedField::Snapshot),
                            "sampled" => Ok(GeneratedField::Sampled),
                            _ => Err(serde::de::Error::unknown_field(value, FIELDS)),
                        }
                    }
                }
                deserializer.deserialize_identifier(GeneratedVisitor)
            }
        }
        struct GeneratedVisitor;
        impl<'de> serde::de::Visitor<'de> for GeneratedVisitor {
            type Value = PresenceChange;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("struct tidegate.client.v1.PresenceChange")
            }

            fn visit_map<V>(self, mut map_: V) -> std::result::Result<PresenceChange, V::Error>
                where
                    V: serde::de::MapAccess<'de>,
            {
                let mut alias__ = None;
                let mut joined__ = None;
                let mut left__ = None;
                let mut sessions__ = None;
                let mut users__ = None;
                let mut snapshot__ = None;
                let mut sampled__ = None;
                while let Some(k) = map_.next_key()? {
                    match k {
                        GeneratedField::Alias => {
                            if alias__.is_some() {
                                return Err(serde::de::Error::duplicate_field("alias"));
                            }
                            alias__ = 
                                Some(map_.next_value::<::pbjson::private::NumberDeserialize<_>>()?.0)
                            ;
                        }
                        GeneratedField::Joined => {
                            if joined__.is_some() {
                                return Err(serde::de::Error::duplicate_field("joined"));
                            }
                            joined__ = Some(map_.next_value()?);
                        }
                        GeneratedField::Left => {
                            if left__.is_some() {
                                return Err(serde::de::Error::duplicate_field("left"));
                            }
                            left__ = Some(map_.next_value()?);
                        }
                        GeneratedField::Sessions => {
                            if sessions__.is_some() {
                                return Err(serde::de::Error::duplicate_field("sessions"));
                            }
                            sessions__ = 
                                Some(map_.next_value::<::pbjson::private::NumberDeserialize<_>>()?.0)
                            ;
                        }
                        GeneratedField::Users => {
                            if users__.is_some() {
                                return Err(serde::de::Error::duplicate_field("users"));
                            }
                            users__ = 
                                Some(map_.next_value::<::pbjson::private::NumberDeserialize<_>>()?.0)
                            ;
                        }
                        GeneratedField::Snapshot => {
                            if snapshot__.is_some() {
                                return Err(serde::de::Error::duplicate_field("snapshot"));
                            }
                            snapshot__ = Some(map_.next_value()?);
                        }
                        GeneratedField::Sampled => {
                            if sampled__.is_some() {
                                return Err(serde::de::Error::duplicate_field("sampled"));
                            }
                            sampled__ = Some(map_.next_value()?);
                        }
                    }
                }
                Ok(PresenceChange {
                    alias: alias__.unwrap_or_default(),
                    joined: joined__.unwrap_or_default(),
                    left: left__.unwrap_or_default(),
                    sessions: sessions__.unwrap_or_default(),
                    users: users__.unwrap_or_default(),
                    snapshot: snapshot__.unwrap_or_default(),
                    sampled: sampled__.unwrap_or_default(),
                })
            }
        }
        deserializer.deserialize_struct("tidegate.client.v1.PresenceChange", FIELDS, GeneratedVisitor)
    }
}
impl serde::Serialize for PresenceResult {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if self.id != 0 {
            len += 1;
        }
        if !self.members.is_empty() {
            len += 1;
        }
        if self.sessions != 0 {
            len += 1;
        }
        if self.users != 0 {
            len += 1;
        }
        if self.sampled {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("tidegate.client.v1.PresenceResult", len)?;
        if self.id != 0 {
            struct_ser.serialize_field("id", &self.id)?;
        }
        if !self.members.is_empty() {
            struct_ser.serialize_field("members", &self.members)?;
        }
        if self.sessions != 0 {
            #[allow(clippy::needless_borrow)]
            #[allow(clippy::needless_borrows_for_generic_args)]
            struct_ser.serialize_field("sessions", ToString::to_string(&self.sessions).as_str())?;
        }
        if self.users != 0 {
            #[allow(clippy::needless_borrow)]
            #[allow(clippy::needless_borrows_for_generic_args)]
            struct_ser.serialize_field("users", ToString::to_string(&self.users).as_str())?;
        }
        if self.sampled {
            struct_ser.serialize_field("sampled", &self.sampled)?;
        }
        struct_ser.end()
    }
}
impl<'de> serde::Deserialize<'de> for PresenceResult {
    #[allow(deprecated)]
    fn deserialize<D>(deserializer: D) -> std::result::Result<Self, D::Error>
    where
        D: serde::Deserializer<'de>,
    {
        const FIELDS: &[&str] = &[
            "id",
            "members",
            "sessions",
            "users",
            "sampled",
        ];

        #[allow(clippy::enum_variant_names)]
        enum GeneratedField {
            Id,
            Members,
            Sessions,
            Users,
            Sampled,
        }
        impl<'de> serde::Deserialize<'de> for GeneratedField {
            fn deserialize<D>(deserializer: D) -> std::result::Result<GeneratedField, D::Error>
            where
                D: serde::Deserializer<'de>,
            {
                struct GeneratedVisitor;

                impl serde::de::Visitor<'_> for GeneratedVisitor {
                    type Value = GeneratedField;

                    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        write!(formatter, "expected one of: {:?}", &FIELDS)
                    }

                    #[allow(unused_variables)]
                    fn visit_str<E>(self, value: &str) -> std::result::Result<GeneratedField, E>
                    where
                        E: serde::de::Error,
                    {
                        match value {
                            "id" => Ok(GeneratedField::Id),
                            "members" => Ok(GeneratedField::Members),
                            "sessions" => Ok(GeneratedField::Sessions),
                            "users" => Ok(GeneratedField::Users),
                            "sampled" => Ok(GeneratedField::Sampled),
                            _ => Err(serde::de::Error::unknown_field(value, FIELDS)),
                        }
                    }
                }
                deserializer.deserialize_identifier(GeneratedVisitor)
            }
        }
        struct GeneratedVisitor;
        impl<'de> serde::de::Visitor<'de> for GeneratedVisitor {
            type Value = PresenceResult;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("struct tidegate.client.v1.PresenceResult")
            }

            fn visit_map<V>(self, mut map_: V) -> std::result::Result<PresenceResult, V::Error>
                where
                    V: serde::de::MapAccess<'de>,
            {
                let mut id__ = None;
                let mut members__ = None;
                let mut sessions__ = None;
                let mut users__ = None;
                let mut sampled__ = None;
                while let Some(k) = map_.next_key()? {
                    match k {
                        GeneratedField::Id => {
                            if id__.is_some() {
                                return Err(serde::de::Error::duplicate_field("id"));
                            }
                            id__ = 
                                Some(map_.next_value::<::pbjson::private::NumberDeserialize<_>>()?.0)
                            ;
                        }
                        GeneratedField::Members => {
                            if members__.is_some() {
                                return Err(serde::de::Error::duplicate_field("members"));
                            }
                            members__ = Some(map_.next_value()?);
                        }
                        GeneratedField::Sessions => {
                            if sessions__.is_some() {
                                return Err(serde::de::Error::duplicate_field("sessions"));
                            }
                            sessions__ = 
                                Some(map_.next_value::<::pbjson::private::NumberDeserialize<_>>()?.0)
                            ;
                        }
                        GeneratedField::Users => {
                            if users__.is_some() {
                                return Err(serde::de::Error::duplicate_field("users"));
                            }
                            users__ = 
                                Some(map_.next_value::<::pbjson::private::NumberDeserialize<_>>()?.0)
                            ;
                        }
                        GeneratedField::Sampled => {
                            if sampled__.is_some() {
                                return Err(serde::de::Error::duplicate_field("sampled"));
                            }
                            sampled__ = Some(map_.next_value()?);
                        }
                    }
                }
                Ok(PresenceResult {
                    id: id__.unwrap_or_default(),
                    members: members__.unwrap_or_default(),
                    sessions: sessions__.unwrap_or_default(),
                    users: users__.unwrap_or_default(),
                    sampled: sampled__.unwrap_or_default(),
                })
            }
        }
        deserializer.deserialize_struct("tidegate.client.v1.PresenceResult", FIELDS, GeneratedVisitor)
    }
}
impl serde::Serialize for Publication {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if self.alias != 0 {
            len += 1;
        }
        if self.offset != 0 {
            len += 1;
        }
        if self.previous != 0 {
            len += 1;
        }
        if !self.key.is_empty() {
            len += 1;
        }
        if !self.payload.is_empty() {
            len += 1;
        }
        if self.published_at_us != 0 {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("tidegate.client.v1.Publication", len)?;
        if self.alias != 0 {
            struct_ser.serialize_field("alias", &self.alias)?;
        }
        if self.offset != 0 {
            #[allow(clippy::needless_borrow)]
            #[allow(clippy::needless_borrows_for_generic_args)]
            struct_ser.serialize_field("offset", ToString::to_string(&self.offset).as_str())?;
        }
        if self.previous != 0 {
            #[allow(clippy::needless_borrow)]
            #[allow(clippy::needless_borrows_for_generic_args)]
            struct_ser.serialize_field("previous", ToString::to_string(&self.previous).as_str())?;
        }
        if !self.key.is_empty() {
            struct_ser.serialize_field("key", &self.key)?;
        }
        if !self.payload.is_empty() {
            #[allow(clippy::needless_borrow)]
            #[allow(clippy::needless_borrows_for_generic_args)]
            struct_ser.serialize_field("payload", pbjson::private::base64::encode(&self.payload).as_str())?;
        }
        if self.published_at_us != 0 {
            #[allow(clippy::needless_borrow)]
            #[allow(clippy::needless_borrows_for_generic_args)]
            struct_ser.serialize_field("publishedAtUs", ToString::to_string(&self.published_at_us).as_str())?;
        }
        struct_ser.end()
    }
}
impl<'de> serde::Deserialize<'de> for Publication {
    #[allow(deprecated)]
    fn deserialize<D>(deserializer: D) -> std::result::Result<Self, D::Error>
    where
        D: serde::Deserializer<'de>,
    {
        const FIELDS: &[&str] = &[
            "alias",
            "offset",
            "previous",
            "key",
            "payload",
            "published_at_us",
            "publishedAtUs",
        ];

        #[allow(clippy::enum_variant_names)]
        enum GeneratedField {
            Alias,
            Offset,
            Previous,
            Key,
            Payload,
            PublishedAtUs,
        }
        impl<'de> serde::Deserialize<'de> for GeneratedField {
            fn deserialize<D>(deserializer: D) -> std::result::Result<GeneratedField, D::Error>
            where
                D: serde::Deserializer<'de>,
            {
                struct GeneratedVisitor;

                impl serde::de::Visitor<'_> for GeneratedVisitor {
                    type Value = GeneratedField;

                    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        write!(formatter, "expected one of: {:?}", &FIELDS)
                    }

                    #[allow(unused_variables)]
                    fn visit_str<E>(self, value: &str) -> std::result::Result<GeneratedField, E>
                    where
                        E: serde::de::Error,
                    {
                        match value {
                            "alias" => Ok(GeneratedField::Alias),
                            "offset" => Ok(GeneratedField::Offset),
                            "previous" => Ok(GeneratedField::Previous),
                            "key" => Ok(GeneratedField::Key),
                            "payload" => Ok(GeneratedField::Payload),
                            "publishedAtUs" | "published_at_us" => Ok(GeneratedField::PublishedAtUs),
                            _ => Err(serde::de::Error::unknown_field(value, FIELDS)),
                        }
                    }
                }
                deserializer.deserialize_identifier(GeneratedVisitor)
            }
        }
        struct GeneratedVisitor;
        impl<'de> serde::de::Visitor<'de> for GeneratedVisitor {
            type Value = Publication;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("struct tidegate.client.v1.Publication")
            }

            fn visit_map<V>(self, mut map_: V) -> std::result::Result<Publication, V::Error>
                where
                    V: serde::de::MapAccess<'de>,
            {
                let mut alias__ = None;
                let mut offset__ = None;
                let mut previous__ = None;
                let mut key__ = None;
                let mut payload__ = None;
                let mut published_at_us__ = None;
                while let Some(k) = map_.next_key()? {
                    match k {
                        GeneratedField::Alias => {
                            if alias__.is_some() {
                                return Err(serde::de::Error::duplicate_field("alias"));
                            }
                            alias__ = 
                                Some(map_.next_value::<::pbjson::private::NumberDeserialize<_>>()?.0)
                            ;
                        }
                        GeneratedField::Offset => {
                            if offset__.is_some() {
                                return Err(serde::de::Error::duplicate_field("offset"));
                            }
                            offset__ = 
                                Some(map_.next_value::<::pbjson::private::NumberDeserialize<_>>()?.0)
                            ;
                        }
                        GeneratedField::Previous => {
                            if previous__.is_some() {
                                return Err(serde::de::Error::duplicate_field("previous"));
                            }
                            previous__ = 
                                Some(map_.next_value::<::pbjson::private::NumberDeserialize<_>>()?.0)
                            ;
                        }
                        GeneratedField::Key => {
                            if key__.is_some() {
                                return Err(serde::de::Error::duplicate_field("key"));
                            }
                            key__ = Some(map_.next_value()?);
                        }
                        GeneratedField::Payload => {
                            if payload__.is_some() {
                                return Err(serde::de::Error::duplicate_field("payload"));
                            }
                            payload__ = 
                                Some(map_.next_value::<::pbjson::private::BytesDeserialize<_>>()?.0)
                            ;
                        }
                        GeneratedField::PublishedAtUs => {
                            if published_at_us__.is_some() {
                                return Err(serde::de::Error::duplicate_field("publishedAtUs"));
                            }
                            published_at_us__ = 
                                Some(map_.next_value::<::pbjson::private::NumberDeserialize<_>>()?.0)
                            ;
                        }
                    }
                }
                Ok(Publication {
                    alias: alias__.unwrap_or_default(),
                    offset: offset__.unwrap_or_default(),
                    previous: previous__.unwrap_or_default(),
                    key: key__.unwrap_or_default(),
                    payload: payload__.unwrap_or_default(),
                    published_at_us: published_at_us__.unwrap_or_default(),
                })
            }
        }
        deserializer.deserialize_struct("tidegate.client.v1.Publication", FIELDS, GeneratedVisitor)
    }
}
impl serde::Serialize for Publish {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if self.id != 0 {
            len += 1;
        }
        if !self.channel.is_empty() {
            len += 1;
        }
        if !self.payload.is_empty() {
            len += 1;
        }
        if !self.key.is_empty() {
            len += 1;
        }
        if !self.publication_id.is_empty() {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("tidegate.client.v1.Publish", len)?;
        if self.id != 0 {
            struct_ser.serialize_field("id", &self.id)?;
        }
        if !self.channel.is_empty() {
            struct_ser.serialize_field("channel", &self.channel)?;
        }
        if !self.payload.is_empty() {
            #[allow(clippy::needless_borrow)]
            #[allow(clippy::needless_borrows_for_generic_args)]
            struct_ser.serialize_field("payload", pbjson::private::base64::encode(&self.payload).as_str())?;
        }
        if !self.key.is_empty() {
            struct_ser.serialize_field("key", &self.key)?;
        }
        if !self.publication_id.is_empty() {
            struct_ser.serialize_field("publicationId", &self.publication_id)?;
        }
        struct_ser.end()
    }
}
impl<'de> serde::Deserialize<'de> for Publish {
    #[allow(deprecated)]
    fn deserialize<D>(deserializer: D) -> std::result::Result<Self, D::Error>
    where
        D: serde::Deserializer<'de>,
    {
        const FIELDS: &[&str] = &[
            "id",
            "channel",
            "payload",
            "key",
            "publication_id",
            "publicationId",
        ];

        #[allow(clippy::enum_variant_names)]
        enum GeneratedField {
            Id,
            Channel,
            Payload,
            Key,
            PublicationId,
        }
        impl<'de> serde::Deserialize<'de> for GeneratedField {
            fn deserialize<D>(deserializer: D) -> std::result::Result<GeneratedField, D::Error>
            where
                D: serde::Deserializer<'de>,
            {
                struct GeneratedVisitor;

                impl serde::de::Visitor<'_> for GeneratedVisitor {
                    type Value = GeneratedField;

                    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        write!(formatter, "expected one of: {:?}", &FIELDS)
                    }

                    #[allow(unused_variables)]
                    fn visit_str<E>(self, value: &str) -> std::result::Result<GeneratedField, E>
                    where
                        E: serde::de::Error,
                    {
                        match value {
                            "id" => Ok(GeneratedField::Id),
                            "channel" => Ok(GeneratedField::Channel),
                            "payload" => Ok(GeneratedField::Payload),
                            "key" => Ok(GeneratedField::Key),
                            "publicationId" | "publication_id" => Ok(GeneratedField::PublicationId),
                            _ => Err(serde::de::Error::unknown_field(value, FIELDS)),
                        }
                    }
                }
                deserializer.deserialize_identifier(GeneratedVisitor)
            }
        }
        struct GeneratedVisitor;
        impl<'de> serde::de::Visitor<'de> for GeneratedVisitor {
            type Value = Publish;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("struct tidegate.client.v1.Publish")
            }

            fn visit_map<V>(self, mut map_: V) -> std::result::Result<Publish, V::Error>
                where
                    V: serde::de::MapAccess<'de>,
            {
                let mut id__ = None;
                let mut channel__ = None;
                let mut payload__ = None;
                let mut key__ = None;
                let mut publication_id__ = None;
                while let Some(k) = map_.next_key()? {
                    match k {
                        GeneratedField::Id => {
                            if id__.is_some() {
                                return Err(serde::de::Error::duplicate_field("id"));
                            }
                            id__ = 
                                Some(map_.next_value::<::pbjson::private::NumberDeserialize<_>>()?.0)
                            ;
                        }
                        GeneratedField::Channel => {
                            if channel__.is_some() {
                                return Err(serde::de::Error::duplicate_field("channel"));
                            }
                            channel__ = Some(map_.next_value()?);
                        }
                        GeneratedField::Payload => {
                            if payload__.is_some() {
                                return Err(serde::de::Error::duplicate_field("payload"));
                            }
                            payload__ = 
                                Some(map_.next_value::<::pbjson::private::BytesDeserialize<_>>()?.0)
                            ;
                        }
                        GeneratedField::Key => {
                            if key__.is_some() {
                                return Err(serde::de::Error::duplicate_field("key"));
                            }
                            key__ = Some(map_.next_value()?);
                        }
                        GeneratedField::PublicationId => {
                            if publication_id__.is_some() {
                                return Err(serde::de::Error::duplicate_field("publicationId"));
                            }
                            publication_id__ = Some(map_.next_value()?);
                        }
                    }
                }
                Ok(Publish {
                    id: id__.unwrap_or_default(),
                    channel: channel__.unwrap_or_default(),
                    payload: payload__.unwrap_or_default(),
                    key: key__.unwrap_or_default(),
                    publication_id: publication_id__.unwrap_or_default(),
                })
            }
        }
        deserializer.deserialize_struct("tidegate.client.v1.Publish", FIELDS, GeneratedVisitor)
    }
}
impl serde::Serialize for Refresh {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if self.id != 0 {
            len += 1;
        }
        if !self.token.is_empty() {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("tidegate.client.v1.Refresh", len)?;
        if self.id != 0 {
            struct_ser.serialize_field("id", &self.id)?;
        }
        if !self.token.is_empty() {
            struct_ser.serialize_field("token", &self.token)?;
        }
        struct_ser.end()
    }
}
impl<'de> serde::Deserialize<'de> for Refresh {
    #[allow(deprecated)]
    fn deserialize<D>(deserializer: D) -> std::result::Result<Self, D::Error>
    where
        D: serde::Deserializer<'de>,
    {
        const FIELDS: &[&str] = &[
            "id",
            "token",
        ];

        #[allow(clippy::enum_variant_names)]
        enum GeneratedField {
            Id,
            Token,
        }
        impl<'de> serde::Deserialize<'de> for GeneratedField {
            fn deserialize<D>(deserializer: D) -> std::result::Result<GeneratedField, D::Error>
            where
                D: serde::Deserializer<'de>,
            {
                struct GeneratedVisitor;

                impl serde::de::Visitor<'_> for GeneratedVisitor {
                    type Value = GeneratedField;

                    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        write!(formatter, "expected one of: {:?}", &FIELDS)
                    }

                    #[allow(unused_variables)]
                    fn visit_str<E>(self, value: &str) -> std::result::Result<GeneratedField, E>
                    where
                        E: serde::de::Error,
                    {
                        match value {
                            "id" => Ok(GeneratedField::Id),
                            "token" => Ok(GeneratedField::Token),
                            _ => Err(serde::de::Error::unknown_field(value, FIELDS)),
                        }
                    }
                }
                deserializer.deserialize_identifier(GeneratedVisitor)
            }
        }
        struct GeneratedVisitor;
        impl<'de> serde::de::Visitor<'de> for GeneratedVisitor {
            type Value = Refresh;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("struct tidegate.client.v1.Refresh")
            }

            fn visit_map<V>(self, mut map_: V) -> std::result::Result<Refresh, V::Error>
                where
                    V: serde::de::MapAccess<'de>,
            {
                let mut id__ = None;
                let mut token__ = None;
                while let Some(k) = map_.next_key()? {
                    match k {
                        GeneratedField::Id => {
                            if id__.is_some() {
                                return Err(serde::de::Error::duplicate_field("id"));
                            }
                            id__ = 
                                Some(map_.next_value::<::pbjson::private::NumberDeserialize<_>>()?.0)
                            ;
                        }
                        GeneratedField::Token => {
                            if token__.is_some() {
                                return Err(serde::de::Error::duplicate_field("token"));
                            }
                            token__ = Some(map_.next_value()?);
                        }
                    }
                }
                Ok(Refresh {
                    id: id__.unwrap_or_default(),
                    token: token__.unwrap_or_default(),
                })
            }
        }
        deserializer.deserialize_struct("tidegate.client.v1.Refresh", FIELDS, GeneratedVisitor)
    }
}
impl serde::Serialize for Refreshed {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if self.id != 0 {
            len += 1;
        }
        if self.token_expires_at_ms != 0 {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("tidegate.client.v1.Refreshed", len)?;
        if self.id != 0 {
            struct_ser.serialize_field("id", &self.id)?;
        }
        if self.token_expires_at_ms != 0 {
            #[allow(clippy::needless_borrow)]
            #[allow(clippy::needless_borrows_for_generic_args)]
            struct_ser.serialize_field("tokenExpiresAtMs", ToString::to_string(&self.token_expires_at_ms).as_str())?;
        }
        struct_ser.end()
    }
}
impl<'de> serde::Deserialize<'de> for Refreshed {
    #[allow(deprecated)]
    fn deserialize<D>(deserializer: D) -> std::result::Result<Self, D::Error>
    where
        D: serde::Deserializer<'de>,
    {
        const FIELDS: &[&str] = &[
            "id",
            "token_expires_at_ms",
            "tokenExpiresAtMs",
        ];

        #[allow(clippy::enum_variant_names)]
        enum GeneratedField {
            Id,
            TokenExpiresAtMs,
        }
        impl<'de> serde::Deserialize<'de> for GeneratedField {
            fn deserialize<D>(deserializer: D) -> std::result::Result<GeneratedField, D::Error>
            where
                D: serde::Deserializer<'de>,
            {
                struct GeneratedVisitor;

                impl serde::de::Visitor<'_> for GeneratedVisitor {
                    type Value = GeneratedField;

                    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        write!(formatter, "expected one of: {:?}", &FIELDS)
                    }

                    #[allow(unused_variables)]
                    fn visit_str<E>(self, value: &str) -> std::result::Result<GeneratedField, E>
                    where
                        E: serde::de::Error,
                    {
                        match value {
                            "id" => Ok(GeneratedField::Id),
                            "tokenExpiresAtMs" | "token_expires_at_ms" => Ok(GeneratedField::TokenExpiresAtMs),
                            _ => Err(serde::de::Error::unknown_field(value, FIELDS)),
                        }
                    }
                }
                deserializer.deserialize_identifier(GeneratedVisitor)
            }
        }
        struct GeneratedVisitor;
        impl<'de> serde::de::Visitor<'de> for GeneratedVisitor {
            type Value = Refreshed;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("struct tidegate.client.v1.Refreshed")
            }

            fn visit_map<V>(self, mut map_: V) -> std::result::Result<Refreshed, V::Error>
                where
                    V: serde::de::MapAccess<'de>,
            {
                let mut id__ = None;
                let mut token_expires_at_ms__ = None;
                while let Some(k) = map_.next_key()? {
                    match k {
                        GeneratedField::Id => {
                            if id__.is_some() {
                                return Err(serde::de::Error::duplicate_field("id"));
                            }
                            id__ = 
                                Some(map_.next_value::<::pbjson::private::NumberDeserialize<_>>()?.0)
                            ;
                        }
                        GeneratedField::TokenExpiresAtMs => {
                            if token_expires_at_ms__.is_some() {
                                return Err(serde::de::Error::duplicate_field("tokenExpiresAtMs"));
                            }
                            token_expires_at_ms__ = 
                                Some(map_.next_value::<::pbjson::private::NumberDeserialize<_>>()?.0)
                            ;
                        }
                    }
                }
                Ok(Refreshed {
                    id: id__.unwrap_or_default(),
                    token_expires_at_ms: token_expires_at_ms__.unwrap_or_default(),
                })
            }
        }
        deserializer.deserialize_struct("tidegate.client.v1.Refreshed", FIELDS, GeneratedVisitor)
    }
}
impl serde::Serialize for Request {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if self.id != 0 {
            len += 1;
        }
        if !self.route.is_empty() {
            len += 1;
        }
        if !self.payload.is_empty() {
            len += 1;
        }
        if self.deadline_ms != 0 {
            len += 1;
        }
        if !self.idempotency_key.is_empty() {
            len += 1;
        }
        if !self.traceparent.is_empty() {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("tidegate.client.v1.Request", len)?;
        if self.id != 0 {
            struct_ser.serialize_field("id", &self.id)?;
        }
        if !self.route.is_empty() {
            struct_ser.serialize_field("route", &self.route)?;
        }
        if !self.payload.is_empty() {
            #[allow(clippy::needless_borrow)]
            #[allow(clippy::needless_borrows_for_generic_args)]
            struct_ser.serialize_field("payload", pbjson::private::base64::encode(&self.payload).as_str())?;
        }
        if self.deadline_ms != 0 {
            struct_ser.serialize_field("deadlineMs", &self.deadline_ms)?;
        }
        if !self.idempotency_key.is_empty() {
            struct_ser.serialize_field("idempotencyKey", &self.idempotency_key)?;
        }
        if !self.traceparent.is_empty() {
            struct_ser.serialize_field("traceparent", &self.traceparent)?;
        }
        struct_ser.end()
    }
}
impl<'de> serde::Deserialize<'de> for Request {
    #[allow(deprecated)]
    fn deserialize<D>(deserializer: D) -> std::result::Result<Self, D::Error>
    where
        D: serde::Deserializer<'de>,
    {
        const FIELDS: &[&str] = &[
            "id",
            "route",
            "payload",
            "deadline_ms",
            "deadlineMs",
            "idempotency_key",
            "idempotencyKey",
            "traceparent",
        ];

        #[allow(clippy::enum_variant_names)]
        enum GeneratedField {
            Id,
            Route,
            Payload,
            DeadlineMs,
            IdempotencyKey,
            Traceparent,
        }
        impl<'de> serde::Deserialize<'de> for GeneratedField {
            fn deserialize<D>(deserializer: D) -> std::result::Result<GeneratedField, D::Error>
            where
                D: serde::Deserializer<'de>,
            {
                struct GeneratedVisitor;

                impl serde::de::Visitor<'_> for GeneratedVisitor {
                    type Value = GeneratedField;

                    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        write!(formatter, "expected one of: {:?}", &FIELDS)
                    }

                    #[allow(unused_variables)]
                    fn visit_str<E>(self, value: &str) -> std::result::Result<GeneratedField, E>
                    where
                        E: serde::de::Error,
                    {
                        match value {
                            "id" => Ok(GeneratedField::Id),
                            "route" => Ok(GeneratedField::Route),
                            "payload" => Ok(GeneratedField::Payload),
                            "deadlineMs" | "deadline_ms" => Ok(GeneratedField::DeadlineMs),
                            "idempotencyKey" | "idempotency_key" => Ok(GeneratedField::IdempotencyKey),
                            "traceparent" => Ok(GeneratedField::Traceparent),
                            _ => Err(serde::de::Error::unknown_field(value, FIELDS)),
                        }
                    }
                }
                deserializer.deserialize_identifier(GeneratedVisitor)
            }
        }
        struct GeneratedVisitor;
        impl<'de> serde::de::Visitor<'de> for GeneratedVisitor {
            type Value = Request;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("struct tidegate.client.v1.Request")
            }

            fn visit_map<V>(self, mut map_: V) -> std::result::Result<Request, V::Error>
                where
                    V: serde::de::MapAccess<'de>,
            {
                let mut id__ = None;
                let mut route__ = None;
                let mut payload__ = None;
                let mut deadline_ms__ = None;
                let mut idempotency_key__ = None;
                let mut traceparent__ = None;
                while let Some(k) = map_.next_key()? {
                    match k {
                        GeneratedField::Id => {
                            if id__.is_some() {
                                return Err(serde::de::Error::duplicate_field("id"));
                            }
                            id__ = 
                                Some(map_.next_value::<::pbjson::private::NumberDeserialize<_>>()?.0)
                            ;
                        }
                        GeneratedField::Route => {
                            if route__.is_some() {
                                return Err(serde::de::Error::duplicate_field("route"));
                            }
                            route__ = Some(map_.next_value()?);
                        }
                        GeneratedField::Payload => {
                            if payload__.is_some() {
                                return Err(serde::de::Error::duplicate_field("payload"));
                            }
                            payload__ = 
                                Some(map_.next_value::<::pbjson::private::BytesDeserialize<_>>()?.0)
                            ;
                        }
                        GeneratedField::DeadlineMs => {
                            if deadline_ms__.is_some() {
                                return Err(serde::de::Error::duplicate_field("deadlineMs"));
                            }
                            deadline_ms__ = 
                                Some(map_.next_value::<::pbjson::private::NumberDeserialize<_>>()?.0)
                            ;
                        }
                        GeneratedField::IdempotencyKey => {
                            if idempotency_key__.is_some() {
                                return Err(serde::de::Error::duplicate_field("idempotencyKey"));
                            }
                            idempotency_key__ = Some(map_.next_value()?);
                        }
                        GeneratedField::Traceparent => {
                            if traceparent__.is_some() {
                                return Err(serde::de::Error::duplicate_field("traceparent"));
                            }
                            traceparent__ = Some(map_.next_value()?);
                        }
                    }
                }
                Ok(Request {
                    id: id__.unwrap_or_default(),
                    route: route__.unwrap_or_default(),
                    payload: payload__.unwrap_or_default(),
                    deadline_ms: deadline_ms__.unwrap_or_default(),
                    idempotency_key: idempotency_key__.unwrap_or_default(),
                    traceparent: traceparent__.unwrap_or_default(),
                })
            }
        }
        deserializer.deserialize_struct("tidegate.client.v1.Request", FIELDS, GeneratedVisitor)
    }
}
impl serde::Serialize for Response {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if self.id != 0 {
            len += 1;
        }
        if self.outcome.is_some() {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("tidegate.client.v1.Response", len)?;
        if self.id != 0 {
            struct_ser.serialize_field("id", &self.id)?;
        }
        if let Some(v) = self.outcome.as_ref() {
            match v {
                response::Outcome::Payload(v) => {
                    #[allow(clippy::needless_borrow)]
                    #[allow(clippy::needless_borrows_for_generic_args)]
                    struct_ser.serialize_field("payload", pbjson::private::base64::encode(&v).as_str())?;
                }
                response::Outcome::Failure(v) => {
                    struct_ser.serialize_field("failure", v)?;
                }
            }
        }
        struct_ser.end()
    }
}
impl<'de> serde::Deserialize<'de> for Response {
    #[allow(deprecated)]
    fn deserialize<D>(deserializer: D) -> std::result::Result<Self, D::Error>
    where
        D: serde::Deserializer<'de>,
    {
        const FIELDS: &[&str] = &[
            "id",
            "payload",
            "failure",
        ];

        #[allow(clippy::enum_variant_names)]
        enum GeneratedField {
            Id,
            Payload,
            Failure,
        }
        impl<'de> serde::Deserialize<'de> for GeneratedField {
            fn deserialize<D>(deserializer: D) -> std::result::Result<GeneratedField, D::Error>
            where
                D: serde::Deserializer<'de>,
            {
                struct GeneratedVisitor;

                impl serde::de::Visitor<'_> for GeneratedVisitor {
                    type Value = GeneratedField;

                    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        write!(formatter, "expected one of: {:?}", &FIELDS)
                    }

                    #[allow(unused_variables)]
                    fn visit_str<E>(self, value: &str) -> std::result::Result<GeneratedField, E>
                    where
                        E: serde::de::Error,
                    {
                        match value {
                            "id" => Ok(GeneratedField::Id),
                            "payload" => Ok(GeneratedField::Payload),
                            "failure" => Ok(GeneratedField::Failure),
                            _ => Err(serde::de::Error::unknown_field(value, FIELDS)),
                        }
                    }
                }
                deserializer.deserialize_identifier(GeneratedVisitor)
            }
        }
        struct GeneratedVisitor;
        impl<'de> serde::de::Visitor<'de> for GeneratedVisitor {
            type Value = Response;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("struct tidegate.client.v1.Response")
            }

            fn visit_map<V>(self, mut map_: V) -> std::result::Result<Response, V::Error>
                where
                    V: serde::de::MapAccess<'de>,
            {
                let mut id__ = None;
                let mut outcome__ = None;
                while let Some(k) = map_.next_key()? {
                    match k {
                        GeneratedField::Id => {
                            if id__.is_some() {
                                return Err(serde::de::Error::duplicate_field("id"));
                            }
                            id__ = 
                                Some(map_.next_value::<::pbjson::private::NumberDeserialize<_>>()?.0)
                            ;
                        }
                        GeneratedField::Payload => {
                            if outcome__.is_some() {
                                return Err(serde::de::Error::duplicate_field("payload"));
                            }
                            outcome__ = map_.next_value::<::std::option::Option<::pbjson::private::BytesDeserialize<_>>>()?.map(|x| response::Outcome::Payload(x.0));
                        }
                        GeneratedField::Failure => {
                            if outcome__.is_some() {
                                return Err(serde::de::Error::duplicate_field("failure"));
                            }
                            outcome__ = map_.next_value::<::std::option::Option<_>>()?.map(response::Outcome::Failure)
;
                        }
                    }
                }
                Ok(Response {
                    id: id__.unwrap_or_default(),
                    outcome: outcome__,
                })
            }
        }
        deserializer.deserialize_struct("tidegate.client.v1.Response", FIELDS, GeneratedVisitor)
    }
}
impl serde::Serialize for ServerEvent {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if self.event.is_some() {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("tidegate.client.v1.ServerEvent", len)?;
        if let Some(v) = self.event.as_ref() {
            match v {
                server_event::Event::Publication(v) => {
                    struct_ser.serialize_field("publication", v)?;
                }
                server_event::Event::Welcome(v) => {
                    struct_ser.serialize_field("welcome", v)?;
                }
                server_event::Event::Subscribed(v) => {
                    struct_ser.serialize_field("subscribed", v)?;
                }
                server_event::Event::Unsubscribed(v) => {
                    struct_ser.serialize_field("unsubscribed", v)?;
                }
                server_event::Event::Direct(v) => {
                    struct_ser.serialize_field("direct", v)?;
                }
                server_event::Event::Response(v) => {
                    struct_ser.serialize_field("response", v)?;
                }
                server_event::Event::Accepted(v) => {
                    struct_ser.serialize_field("accepted", v)?;
                }
                server_event::Event::Error(v) => {
                    struct_ser.serialize_field("error", v)?;
                }
                server_event::Event::Closing(v) => {
                    struct_ser.serialize_field("closing", v)?;
                }
                server_event::Event::Pong(v) => {
                    struct_ser.serialize_field("pong", v)?;
                }
                server_event::Event::Gap(v) => {
                    struct_ser.serialize_field("gap", v)?;
                }
                server_event::Event::Notice(v) => {
                    struct_ser.serialize_field("notice", v)?;
                }
                server_event::Event::Migrate(v) => {
                    struct_ser.serialize_field("migrate", v)?;
                }
                server_event::Event::Refreshed(v) => {
                    struct_ser.serialize_field("refreshed", v)?;
                }
                server_event::Event::HistoryResult(v) => {
                    struct_ser.serialize_field("historyResult", v)?;
                }
                server_event::Event::PresenceResult(v) => {
                    struct_ser.serialize_field("presenceResult", v)?;
                }
                server_event::Event::PresenceChange(v) => {
                    struct_ser.serialize_field("presenceChange", v)?;
                }
                server_event::Event::Signalled(v) => {
                    struct_ser.serialize_field("signalled", v)?;
                }
            }
        }
        struct_ser.end()
    }
}
impl<'de> serde::Deserialize<'de> for ServerEvent {
    #[allow(deprecated)]
    fn deserialize<D>(deserializer: D) -> std::result::Result<Self, D::Error>
    where
        D: serde::Deserializer<'de>,
    {
        const FIELDS: &[&str] = &[
            "publication",
            "welcome",
            "subscribed",
            "unsubscribed",
            "direct",
            "response",
            "accepted",
            "error",
            "closing",
            "pong",
            "gap",
            "notice",
            "migrate",
            "refreshed",
            "history_result",
            "historyResult",
            "presence_result",
            "presenceResult",
            "presence_change",
            "presenceChange",
            "signalled",
        ];

        #[allow(clippy::enum_variant_names)]
        enum GeneratedField {
            Publication,
            Welcome,
            Subscribed,
            Unsubscribed,
            Direct,
            Response,
            Accepted,
            Error,
            Closing,
            Pong,
            Gap,
            Notice,
            Migrate,
            Refreshed,
            HistoryResult,
            PresenceResult,
            PresenceChange,
            Signalled,
        }
        impl<'de> serde::Deserialize<'de> for GeneratedField {
            fn deserialize<D>(deserializer: D) -> std::result::Result<GeneratedField, D::Error>
            where
                D: serde::Deserializer<'de>,
            {
                struct GeneratedVisitor;

                impl serde::de::Visitor<'_> for GeneratedVisitor {
                    type Value = GeneratedField;

                    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        write!(formatter, "expected one of: {:?}", &FIELDS)
                    }

                    #[allow(unused_variables)]
                    fn visit_str<E>(self, value: &str) -> std::result::Result<GeneratedField, E>
                    where
                        E: serde::de::Error,
                    {
                        match value {
                            "publication" => Ok(GeneratedField::Publication),
                            "welcome" => Ok(GeneratedField::Welcome),
                            "subscribed" => Ok(GeneratedField::Subscribed),
                            "unsubscribed" => Ok(GeneratedField::Unsubscribed),
                            "direct" => Ok(GeneratedField::Direct),
                            "response" => Ok(GeneratedField::Response),
                            "accepted" => Ok(GeneratedField::Accepted),
                            "error" => Ok(GeneratedField::Error),
                            "closing" => Ok(GeneratedField::Closing),
                            "pong" => Ok(GeneratedField::Pong),
                            "gap" => Ok(GeneratedField::Gap),
                            "notice" => Ok(GeneratedField::Notice),
                            "migrate" => Ok(GeneratedField::Migrate),
                            "refreshed" => Ok(GeneratedField::Refreshed),
                            "historyResult" | "history_result" => Ok(GeneratedField::HistoryResult),
                            "presenceResult" | "presence_result" => Ok(GeneratedField::PresenceResult),
                            "presenceChange" | "presence_change" => Ok(GeneratedField::PresenceChange),
                            "signalled" => Ok(GeneratedField::Signalled),
                            _ => Err(serde::de::Error::unknown_field(value, FIELDS)),
                        }
                    }
                }
                deserializer.deserialize_identifier(GeneratedVisitor)
            }
        }
        struct GeneratedVisitor;
        impl<'de> serde::de::Visitor<'de> for GeneratedVisitor {
            type Value = ServerEvent;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("struct tidegate.client.v1.ServerEvent")
            }

            fn visit_map<V>(self, mut map_: V) -> std::result::Result<ServerEvent, V::Error>
                where
                    V: serde::de::MapAccess<'de>,
            {
                let mut event__ = None;
                while let Some(k) = map_.next_key()? {
                    match k {
                        GeneratedField::Publication => {
                            if event__.is_some() {
                                return Err(serde::de::Error::duplicate_field("publication"));
                            }
                            event__ = map_.next_value::<::std::option::Option<_>>()?.map(server_event::Event::Publication)
;
                        }
                        GeneratedField::Welcome => {
                            if event__.is_some() {
                                return Err(serde::de::Error::duplicate_field("welcome"));
                            }
                            event__ = map_.next_value::<::std::option::Option<_>>()?.map(server_event::Event::Welcome)
;
                        }
                        GeneratedField::Subscribed => {
                            if event__.is_some() {
                                return Err(serde::de::Error::duplicate_field("subscribed"));
                            }
                            event__ = map_.next_value::<::std::option::Option<_>>()?.map(server_event::Event::Subscribed)
;
                        }
                        GeneratedField::Unsubscribed => {
                            if event__.is_some() {
                                return Err(serde::de::Error::duplicate_field("unsubscribed"));
                            }
                            event__ = map_.next_value::<::std::option::Option<_>>()?.map(server_event::Event::Unsubscribed)
;
                        }
                        GeneratedField::Direct => {
                            if event__.is_some() {
                                return Err(serde::de::Error::duplicate_field("direct"));
                            }
                            event__ = map_.next_value::<::std::option::Option<_>>()?.map(server_event::Event::Direct)
;
                        }
                        GeneratedField::Response => {
                            if event__.is_some() {
                                return Err(serde::de::Error::duplicate_field("response"));
                            }
                            event__ = map_.next_value::<::std::option::Option<_>>()?.map(server_event::Event::Response)
;
                        }
                        GeneratedField::Accepted => {
                            if event__.is_some() {
                                return Err(serde::de::Error::duplicate_field("accepted"));
                            }
                            event__ = map_.next_value::<::std::option::Option<_>>()?.map(server_event::Event::Accepted)
;
                        }
                        GeneratedField::Error => {
                            if event__.is_some() {
                                return Err(serde::de::Error::duplicate_field("error"));
                            }
                            event__ = map_.next_value::<::std::option::Option<_>>()?.map(server_event::Event::Error)
;
                        }
                        GeneratedField::Closing => {
                            if event__.is_some() {
                                return Err(serde::de::Error::duplicate_field("closing"));
                            }
                            event__ = map_.next_value::<::std::option::Option<_>>()?.map(server_event::Event::Closing)
;
                        }
                        GeneratedField::Pong => {
                            if event__.is_some() {
                                return Err(serde::de::Error::duplicate_field("pong"));
                            }
                            event__ = map_.next_value::<::std::option::Option<_>>()?.map(server_event::Event::Pong)
;
                        }
                        GeneratedField::Gap => {
                            if event__.is_some() {
                                return Err(serde::de::Error::duplicate_field("gap"));
                            }
                            event__ = map_.next_value::<::std::option::Option<_>>()?.map(server_event::Event::Gap)
;
                        }
                        GeneratedField::Notice => {
                            if event__.is_some() {
                                return Err(serde::de::Error::duplicate_field("notice"));
                            }
                            event__ = map_.next_value::<::std::option::Option<_>>()?.map(server_event::Event::Notice)
;
                        }
                        GeneratedField::Migrate => {
                            if event__.is_some() {
                                return Err(serde::de::Error::duplicate_field("migrate"));
                            }
                            event__ = map_.next_value::<::std::option::Option<_>>()?.map(server_event::Event::Migrate)
;
                        }
                        GeneratedField::Refreshed => {
                            if event__.is_some() {
                                return Err(serde::de::Error::duplicate_field("refreshed"));
                            }
                            event__ = map_.next_value::<::std::option::Option<_>>()?.map(server_event::Event::Refreshed)
;
                        }
                        GeneratedField::HistoryResult => {
                            if event__.is_some() {
                                return Err(serde::de::Error::duplicate_field("historyResult"));
                            }
                            event__ = map_.next_value::<::std::option::Option<_>>()?.map(server_event::Event::HistoryResult)
;
                        }
                        GeneratedField::PresenceResult => {
                            if event__.is_some() {
                                return Err(serde::de::Error::duplicate_field("presenceResult"));
                            }
                            event__ = map_.next_value::<::std::option::Option<_>>()?.map(server_event::Event::PresenceResult)
;
                        }
                        GeneratedField::PresenceChange => {
                            if event__.is_some() {
                                return Err(serde::de::Error::duplicate_field("presenceChange"));
                            }
                            event__ = map_.next_value::<::std::option::Option<_>>()?.map(server_event::Event::PresenceChange)
;
                        }
                        GeneratedField::Signalled => {
                            if event__.is_some() {
                                return Err(serde::de::Error::duplicate_field("signalled"));
                            }
                            event__ = map_.next_value::<::std::option::Option<_>>()?.map(server_event::Event::Signalled)
;
                        }
                    }
                }
                Ok(ServerEvent {
                    event: event__,
                })
            }
        }
        deserializer.deserialize_struct("tidegate.client.v1.ServerEvent", FIELDS, GeneratedVisitor)
    }
}
impl serde::Serialize for ServerMessage {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if !self.events.is_empty() {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("tidegate.client.v1.ServerMessage", len)?;
        if !self.events.is_empty() {
            struct_ser.serialize_field("events", &self.events)?;
        }
        struct_ser.end()
    }
}
impl<'de> serde::Deserialize<'de> for ServerMessage {
    #[allow(deprecated)]
    fn deserialize<D>(deserializer: D) -> std::result::Result<Self, D::Error>
    where
        D: serde::Deserializer<'de>,
    {
        const FIELDS: &[&str] = &[
            "events",
        ];

        #[allow(clippy::enum_variant_names)]
        enum GeneratedField {
            Events,
        }
        impl<'de> serde::Deserialize<'de> for GeneratedField {
            fn deserialize<D>(deserializer: D) -> std::result::Result<GeneratedField, D::Error>
            where
                D: serde::Deserializer<'de>,
            {
                struct GeneratedVisitor;

                impl serde::de::Visitor<'_> for GeneratedVisitor {
                    type Value = GeneratedField;

                    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        write!(formatter, "expected one of: {:?}", &FIELDS)
                    }

                    #[allow(unused_variables)]
                    fn visit_str<E>(self, value: &str) -> std::result::Result<GeneratedField, E>
                    where
                        E: serde::de::Error,
                    {
                        match value {
                            "events" => Ok(GeneratedField::Events),
                            _ => Err(serde::de::Error::unknown_field(value, FIELDS)),
                        }
                    }
                }
                deserializer.deserialize_identifier(GeneratedVisitor)
            }
        }
        struct GeneratedVisitor;
        impl<'de> serde::de::Visitor<'de> for GeneratedVisitor {
            type Value = ServerMessage;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("struct tidegate.client.v1.ServerMessage")
            }

            fn visit_map<V>(self, mut map_: V) -> std::result::Result<ServerMessage, V::Error>
                where
                    V: serde::de::MapAccess<'de>,
            {
                let mut events__ = None;
                while let Some(k) = map_.next_key()? {
                    match k {
                        GeneratedField::Events => {
                            if events__.is_some() {
                                return Err(serde::de::Error::duplicate_field("events"));
                            }
                            events__ = Some(map_.next_value()?);
                        }
                    }
                }
                Ok(ServerMessage {
                    events: events__.unwrap_or_default(),
                })
            }
        }
        deserializer.deserialize_struct("tidegate.client.v1.ServerMessage", FIELDS, GeneratedVisitor)
    }
}
impl serde::Serialize for SetSubscription {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if self.id != 0 {
            len += 1;
        }
        if !self.channel.is_empty() {
            len += 1;
        }
        if self.options.is_some() {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("tidegate.client.v1.SetSubscription", len)?;
        if self.id != 0 {
            struct_ser.serialize_field("id", &self.id)?;
        }
        if !self.channel.is_empty() {
            struct_ser.serialize_field("channel", &self.channel)?;
        }
        if let Some(v) = self.options.as_ref() {
            struct_ser.serialize_field("options", v)?;
        }
        struct_ser.end()
    }
}
impl<'de> serde::Deserialize<'de> for SetSubscription {
    #[allow(deprecated)]
    fn deserialize<D>(deserializer: D) -> std::result::Result<Self, D::Error>
    where
        D: serde::Deserializer<'de>,
    {
        const FIELDS: &[&str] = &[
            "id",
            "channel",
            "options",
        ];

        #[allow(clippy::enum_variant_names)]
        enum GeneratedField {
            Id,
            Channel,
            Options,
        }
        impl<'de> serde::Deserialize<'de> for GeneratedField {
            fn deserialize<D>(deserializer: D) -> std::result::Result<GeneratedField, D::Error>
            where
                D: serde::Deserializer<'de>,
            {
                struct GeneratedVisitor;

                impl serde::de::Visitor<'_> for GeneratedVisitor {
                    type Value = GeneratedField;

                    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        write!(formatter, "expected one of: {:?}", &FIELDS)
                    }

                    #[allow(unused_variables)]
                    fn visit_str<E>(self, value: &str) -> std::result::Result<GeneratedField, E>
                    where
                        E: serde::de::Error,
                    {
                        match value {
                            "id" => Ok(GeneratedField::Id),
                            "channel" => Ok(GeneratedField::Channel),
                            "options" => Ok(GeneratedField::Options),
                            _ => Err(serde::de::Error::unknown_field(value, FIELDS)),
                        }
                    }
                }
                deserializer.deserialize_identifier(GeneratedVisitor)
            }
        }
        struct GeneratedVisitor;
        impl<'de> serde::de::Visitor<'de> for GeneratedVisitor {
            type Value = SetSubscription;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("struct tidegate.client.v1.SetSubscription")
            }

            fn visit_map<V>(self, mut map_: V) -> std::result::Result<SetSubscription, V::Error>
                where
                    V: serde::de::MapAccess<'de>,
            {
                let mut id__ = None;
                let mut channel__ = None;
                let mut options__ = None;
                while let Some(k) = map_.next_key()? {
                    match k {
                        GeneratedField::Id => {
                            if id__.is_some() {
                                return Err(serde::de::Error::duplicate_field("id"));
                            }
                            id__ = 
                                Some(map_.next_value::<::pbjson::private::NumberDeserialize<_>>()?.0)
                            ;
                        }
                        GeneratedField::Channel => {
                            if channel__.is_some() {
                                return Err(serde::de::Error::duplicate_field("channel"));
                            }
                            channel__ = Some(map_.next_value()?);
                        }
                        GeneratedField::Options => {
                            if options__.is_some() {
                                return Err(serde::de::Error::duplicate_field("options"));
                            }
                            options__ = map_.next_value()?;
                        }
                    }
                }
                Ok(SetSubscription {
                    id: id__.unwrap_or_default(),
                    channel: channel__.unwrap_or_default(),
                    options: options__,
                })
            }
        }
        deserializer.deserialize_struct("tidegate.client.v1.SetSubscription", FIELDS, GeneratedVisitor)
    }
}
impl serde::Serialize for Signal {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if self.id != 0 {
            len += 1;
        }
        if !self.channel.is_empty() {
            len += 1;
        }
        if !self.payload.is_empty() {
            len += 1;
        }
        if self.to.is_some() {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("tidegate.client.v1.Signal", len)?;
        if self.id != 0 {
            struct_ser.serialize_field("id", &self.id)?;
        }
        if !self.channel.is_empty() {
            struct_ser.serialize_field("channel", &self.channel)?;
        }
        if !self.payload.is_empty() {
            #[allow(clippy::needless_borrow)]
            #[allow(clippy::needless_borrows_for_generic_args)]
            struct_ser.serialize_field("payload", pbjson::private::base64::encode(&self.payload).as_str())?;
        }
        if let Some(v) = self.to.as_ref() {
            match v {
                signal::To::User(v) => {
                    struct_ser.serialize_field("user", v)?;
                }
                signal::To::SessionId(v) => {
                    struct_ser.serialize_field("sessionId", v)?;
                }
                signal::To::ConnectionId(v) => {
                    struct_ser.serialize_field("connectionId", v)?;
                }
            }
        }
        struct_ser.end()
    }
}
impl<'de> serde::Deserialize<'de> for Signal {
    #[allow(deprecated)]
    fn deserialize<D>(deserializer: D) -> std::result::Result<Self, D::Error>
    where
        D: serde::Deserializer<'de>,
    {
        const FIELDS: &[&str] = &[
            "id",
            "channel",
            "payload",
            "user",
            "session_id",
            "sessionId",
            "connection_id",
            "connectionId",
        ];

        #[allow(clippy::enum_variant_names)]
        enum GeneratedField {
            Id,
            Channel,
            Payload,
            User,
            SessionId,
            ConnectionId,
        }
        impl<'de> serde::Deserialize<'de> for GeneratedField {
            fn deserialize<D>(deserializer: D) -> std::result::Result<GeneratedField, D::Error>
            where
                D: serde::Deserializer<'de>,
            {
                struct GeneratedVisitor;

                impl serde::de::Visitor<'_> for GeneratedVisitor {
                    type Value = GeneratedField;

                    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        write!(formatter, "expected one of: {:?}", &FIELDS)
                    }

                    #[allow(unused_variables)]
                    fn visit_str<E>(self, value: &str) -> std::result::Result<GeneratedField, E>
                    where
                        E: serde::de::Error,
                    {
                        match value {
                            "id" => Ok(GeneratedField::Id),
                            "channel" => Ok(GeneratedField::Channel),
                            "payload" => Ok(GeneratedField::Payload),
                            "user" => Ok(GeneratedField::User),
                            "sessionId" | "session_id" => Ok(GeneratedField::SessionId),
                            "connectionId" | "connection_id" => Ok(GeneratedField::ConnectionId),
                            _ => Err(serde::de::Error::unknown_field(value, FIELDS)),
                        }
                    }
                }
                deserializer.deserialize_identifier(GeneratedVisitor)
            }
        }
        struct GeneratedVisitor;
        impl<'de> serde::de::Visitor<'de> for GeneratedVisitor {
            type Value = Signal;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("struct tidegate.client.v1.Signal")
            }

            fn visit_map<V>(self, mut map_: V) -> std::result::Result<Signal, V::Error>
                where
                    V: serde::de::MapAccess<'de>,
            {
                let mut id__ = None;
                let mut channel__ = None;
                let mut payload__ = None;
                let mut to__ = None;
                while let Some(k) = map_.next_key()? {
                    match k {
                        GeneratedField::Id => {
                            if id__.is_some() {
                                return Err(serde::de::Error::duplicate_field("id"));
                            }
                            id__ = 
                                Some(map_.next_value::<::pbjson::private::NumberDeserialize<_>>()?.0)
                            ;
                        }
                        GeneratedField::Channel => {
                            if channel__.is_some() {
                                return Err(serde::de::Error::duplicate_field("channel"));
                            }
                            channel__ = Some(map_.next_value()?);
                        }
                        GeneratedField::Payload => {
                            if payload__.is_some() {
                                return Err(serde::de::Error::duplicate_field("payload"));
                            }
                            payload__ = 
                                Some(map_.next_value::<::pbjson::private::BytesDeserialize<_>>()?.0)
                            ;
                        }
                        GeneratedField::User => {
                            if to__.is_some() {
                                return Err(serde::de::Error::duplicate_field("user"));
                            }
                            to__ = map_.next_value::<::std::option::Option<_>>()?.map(signal::To::User);
                        }
                        GeneratedField::SessionId => {
                            if to__.is_some() {
                                return Err(serde::de::Error::duplicate_field("sessionId"));
                            }
                            to__ = map_.next_value::<::std::option::Option<_>>()?.map(signal::To::SessionId);
                        }
                        GeneratedField::ConnectionId => {
                            if to__.is_some() {
                                return Err(serde::de::Error::duplicate_field("connectionId"));
                            }
                            to__ = map_.next_value::<::std::option::Option<_>>()?.map(signal::To::ConnectionId);
                        }
                    }
                }
                Ok(Signal {
                    id: id__.unwrap_or_default(),
                    channel: channel__.unwrap_or_default(),
                    payload: payload__.unwrap_or_default(),
                    to: to__,
                })
            }
        }
        deserializer.deserialize_struct("tidegate.client.v1.Signal", FIELDS, GeneratedVisitor)
    }
}
impl serde::Serialize for Signalled {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if self.alias != 0 {
            len += 1;
        }
        if self.from.is_some() {
            len += 1;
        }
        if !self.payload.is_empty() {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("tidegate.client.v1.Signalled", len)?;
        if self.alias != 0 {
            struct_ser.serialize_field("alias", &self.alias)?;
        }
        if let Some(v) = self.from.as_ref() {
            struct_ser.serialize_field("from", v)?;
        }
        if !self.payload.is_empty() {
            #[allow(clippy::needless_borrow)]
            #[allow(clippy::needless_borrows_for_generic_args)]
            struct_ser.serialize_field("payload", pbjson::private::base64::encode(&self.payload).as_str())?;
        }
        struct_ser.end()
    }
}
impl<'de> serde::Deserialize<'de> for Signalled {
    #[allow(deprecated)]
    fn deserialize<D>(deserializer: D) -> std::result::Result<Self, D::Error>
    where
        D: serde::Deserializer<'de>,
    {
        const FIELDS: &[&str] = &[
            "alias",
            "from",
            "payload",
        ];

        #[allow(clippy::enum_variant_names)]
        enum GeneratedField {
            Alias,
            From,
            Payload,
        }
        impl<'de> serde::Deserialize<'de> for GeneratedField {
            fn deserialize<D>(deserializer: D) -> std::result::Result<GeneratedField, D::Error>
            where
                D: serde::Deserializer<'de>,
            {
                struct GeneratedVisitor;

                impl serde::de::Visitor<'_> for GeneratedVisitor {
                    type Value = GeneratedField;

                    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        write!(formatter, "expected one of: {:?}", &FIELDS)
                    }

                    #[allow(unused_variables)]
                    fn visit_str<E>(self, value: &str) -> std::result::Result<GeneratedField, E>
                    where
                        E: serde::de::Error,
                    {
                        match value {
                            "alias" => Ok(GeneratedField::Alias),
                            "from" => Ok(GeneratedField::From),
                            "payload" => Ok(GeneratedField::Payload),
                            _ => Err(serde::de::Error::unknown_field(value, FIELDS)),
                        }
                    }
                }
                deserializer.deserialize_identifier(GeneratedVisitor)
            }
        }
        struct GeneratedVisitor;
        impl<'de> serde::de::Visitor<'de> for GeneratedVisitor {
            type Value = Signalled;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("struct tidegate.client.v1.Signalled")
            }

            fn visit_map<V>(self, mut map_: V) -> std::result::Result<Signalled, V::Error>
                where
                    V: serde::de::MapAccess<'de>,
            {
                let mut alias__ = None;
                let mut from__ = None;
                let mut payload__ = None;
                while let Some(k) = map_.next_key()? {
                    match k {
                        GeneratedField::Alias => {
                            if alias__.is_some() {
                                return Err(serde::de::Error::duplicate_field("alias"));
                            }
                            alias__ = 
                                Some(map_.next_value::<::pbjson::private::NumberDeserialize<_>>()?.0)
                            ;
                        }
                        GeneratedField::From => {
                            if from__.is_some() {
                                return Err(serde::de::Error::duplicate_field("from"));
                            }
                            from__ = map_.next_value()?;
                        }
                        GeneratedField::Payload => {
                            if payload__.is_some() {
                                return Err(serde::de::Error::duplicate_field("payload"));
                            }
                            payload__ = 
                                Some(map_.next_value::<::pbjson::private::BytesDeserialize<_>>()?.0)
                            ;
                        }
                    }
                }
                Ok(Signalled {
                    alias: alias__.unwrap_or_default(),
                    from: from__,
                    payload: payload__.unwrap_or_default(),
                })
            }
        }
        deserializer.deserialize_struct("tidegate.client.v1.Signalled", FIELDS, GeneratedVisitor)
    }
}
impl serde::Serialize for Subscribe {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if self.id != 0 {
            len += 1;
        }
        if !self.channel.is_empty() {
            len += 1;
        }
        if self.since.is_some() {
            len += 1;
        }
        if self.options.is_some() {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("tidegate.client.v1.Subscribe", len)?;
        if self.id != 0 {
            struct_ser.serialize_field("id", &self.id)?;
        }
        if !self.channel.is_empty() {
            struct_ser.serialize_field("channel", &self.channel)?;
        }
        if let Some(v) = self.since.as_ref() {
            struct_ser.serialize_field("since", v)?;
        }
        if let Some(v) = self.options.as_ref() {
            struct_ser.serialize_field("options", v)?;
        }
        struct_ser.end()
    }
}
impl<'de> serde::Deserialize<'de> for Subscribe {
    #[allow(deprecated)]
    fn deserialize<D>(deserializer: D) -> std::result::Result<Self, D::Error>
    where
        D: serde::Deserializer<'de>,
    {
        const FIELDS: &[&str] = &[
            "id",
            "channel",
            "since",
            "options",
        ];

        #[allow(clippy::enum_variant_names)]
        enum GeneratedField {
            Id,
            Channel,
            Since,
            Options,
        }
        impl<'de> serde::Deserialize<'de> for GeneratedField {
            fn deserialize<D>(deserializer: D) -> std::result::Result<GeneratedField, D::Error>
            where
                D: serde::Deserializer<'de>,
            {
                struct GeneratedVisitor;

                impl serde::de::Visitor<'_> for GeneratedVisitor {
                    type Value = GeneratedField;

                    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        write!(formatter, "expected one of: {:?}", &FIELDS)
                    }

                    #[allow(unused_variables)]
                    fn visit_str<E>(self, value: &str) -> std::result::Result<GeneratedField, E>
                    where
                        E: serde::de::Error,
                    {
                        match value {
                            "id" => Ok(GeneratedField::Id),
                            "channel" => Ok(GeneratedField::Channel),
                            "since" => Ok(GeneratedField::Since),
                            "options" => Ok(GeneratedField::Options),
                            _ => Err(serde::de::Error::unknown_field(value, FIELDS)),
                        }
                    }
                }
                deserializer.deserialize_identifier(GeneratedVisitor)
            }
        }
        struct GeneratedVisitor;
        impl<'de> serde::de::Visitor<'de> for GeneratedVisitor {
            type Value = Subscribe;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("struct tidegate.client.v1.Subscribe")
            }

            fn visit_map<V>(self, mut map_: V) -> std::result::Result<Subscribe, V::Error>
                where
                    V: serde::de::MapAccess<'de>,
            {
                let mut id__ = None;
                let mut channel__ = None;
                let mut since__ = None;
                let mut options__ = None;
                while let Some(k) = map_.next_key()? {
                    match k {
                        GeneratedField::Id => {
                            if id__.is_some() {
                                return Err(serde::de::Error::duplicate_field("id"));
                            }
                            id__ = 
                                Some(map_.next_value::<::pbjson::private::NumberDeserialize<_>>()?.0)
                            ;
                        }
                        GeneratedField::Channel => {
                            if channel__.is_some() {
                                return Err(serde::de::Error::duplicate_field("channel"));
                            }
                            channel__ = Some(map_.next_value()?);
                        }
                        GeneratedField::Since => {
                            if since__.is_some() {
                                return Err(serde::de::Error::duplicate_field("since"));
                            }
                            since__ = map_.next_value()?;
                        }
                        GeneratedField::Options => {
                            if options__.is_some() {
                                return Err(serde::de::Error::duplicate_field("options"));
                            }
                            options__ = map_.next_value()?;
                        }
                    }
                }
                Ok(Subscribe {
                    id: id__.unwrap_or_default(),
                    channel: channel__.unwrap_or_default(),
                    since: since__,
                    options: options__,
                })
            }
        }
        deserializer.deserialize_struct("tidegate.client.v1.Subscribe", FIELDS, GeneratedVisitor)
    }
}
impl serde::Serialize for SubscribeOptions {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if self.max_per_second != 0 {
            len += 1;
        }
        if self.latest {
            len += 1;
        }
        if self.conflate {
            len += 1;
        }
        if self.presence {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("tidegate.client.v1.SubscribeOptions", len)?;
        if self.max_per_second != 0 {
            struct_ser.serialize_field("maxPerSecond", &self.max_per_second)?;
        }
        if self.latest {
            struct_ser.serialize_field("latest", &self.latest)?;
        }
        if self.conflate {
            struct_ser.serialize_field("conflate", &self.conflate)?;
        }
        if self.presence {
            struct_ser.serialize_field("presence", &self.presence)?;
        }
        struct_ser.end()
    }
}
impl<'de> serde::Deserialize<'de> for SubscribeOptions {
    #[allow(deprecated)]
    fn deserialize<D>(deserializer: D) -> std::result::Result<Self, D::Error>
    where
        D: serde::Deserializer<'de>,
    {
        const FIELDS: &[&str] = &[
            "max_per_second",
            "maxPerSecond",
            "latest",
            "conflate",
            "presence",
        ];

        #[allow(clippy::enum_variant_names)]
        enum GeneratedField {
            MaxPerSecond,
            Latest,
            Conflate,
            Presence,
        }
        impl<'de> serde::Deserialize<'de> for GeneratedField {
            fn deserialize<D>(deserializer: D) -> std::result::Result<GeneratedField, D::Error>
            where
                D: serde::Deserializer<'de>,
            {
                struct GeneratedVisitor;

                impl serde::de::Visitor<'_> for GeneratedVisitor {
                    type Value = GeneratedField;

                    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        write!(formatter, "expected one of: {:?}", &FIELDS)
                    }

                    #[allow(unused_variables)]
                    fn visit_str<E>(self, value: &str) -> std::result::Result<GeneratedField, E>
                    where
                        E: serde::de::Error,
                    {
                        match value {
                            "maxPerSecond" | "max_per_second" => Ok(GeneratedField::MaxPerSecond),
                            "latest" => Ok(GeneratedField::Latest),
                            "conflate" => Ok(GeneratedField::Conflate),
                            "presence" => Ok(GeneratedField::Presence),
                            _ => Err(serde::de::Error::unknown_field(value, FIELDS)),
                        }
                    }
                }
                deserializer.deserialize_identifier(GeneratedVisitor)
            }
        }
        struct GeneratedVisitor;
        impl<'de> serde::de::Visitor<'de> for GeneratedVisitor {
            type Value = SubscribeOptions;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("struct tidegate.client.v1.SubscribeOptions")
            }

            fn visit_map<V>(self, mut map_: V) -> std::result::Result<SubscribeOptions, V::Error>
                where
                    V: serde::de::MapAccess<'de>,
            {
                let mut max_per_second__ = None;
                let mut latest__ = None;
                let mut conflate__ = None;
                let mut presence__ = None;
                while let Some(k) = map_.next_key()? {
                    match k {
                        GeneratedField::MaxPerSecond => {
                            if max_per_second__.is_some() {
                                return Err(serde::de::Error::duplicate_field("maxPerSecond"));
                            }
                            max_per_second__ = 
                                Some(map_.next_value::<::pbjson::private::NumberDeserialize<_>>()?.0)
                            ;
                        }
                        GeneratedField::Latest => {
                            if latest__.is_some() {
                                return Err(serde::de::Error::duplicate_field("latest"));
                            }
                            latest__ = Some(map_.next_value()?);
                        }
                        GeneratedField::Conflate => {
                            if conflate__.is_some() {
                                return Err(serde::de::Error::duplicate_field("conflate"));
                            }
                            conflate__ = Some(map_.next_value()?);
                        }
                        GeneratedField::Presence => {
                            if presence__.is_some() {
                                return Err(serde::de::Error::duplicate_field("presence"));
                            }
                            presence__ = Some(map_.next_value()?);
                        }
                    }
                }
                Ok(SubscribeOptions {
                    max_per_second: max_per_second__.unwrap_or_default(),
                    latest: latest__.unwrap_or_default(),
                    conflate: conflate__.unwrap_or_default(),
                    presence: presence__.unwrap_or_default(),
                })
            }
        }
        deserializer.deserialize_struct("tidegate.client.v1.SubscribeOptions", FIELDS, GeneratedVisitor)
    }
}
impl serde::Serialize for Subscribed {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if self.id != 0 {
            len += 1;
        }
        if !self.channel.is_empty() {
            len += 1;
        }
        if self.verdict != 0 {
            len += 1;
        }
        if self.position.is_some() {
            len += 1;
        }
        if self.alias != 0 {
            len += 1;
        }
        if self.conflates {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("tidegate.client.v1.Subscribed", len)?;
        if self.id != 0 {
            struct_ser.serialize_field("id", &self.id)?;
        }
        if !self.channel.is_empty() {
            struct_ser.serialize_field("channel", &self.channel)?;
        }
        if self.verdict != 0 {
            let v = Verdict::try_from(self.verdict)
                .map_err(|_| serde::ser::Error::custom(format!("Invalid variant {}", self.verdict)))?;
            struct_ser.serialize_field("verdict", &v)?;
        }
        if let Some(v) = self.position.as_ref() {
            struct_ser.serialize_field("position", v)?;
        }
        if self.alias != 0 {
            struct_ser.serialize_field("alias", &self.alias)?;
        }
        if self.conflates {
            struct_ser.serialize_field("conflates", &self.conflates)?;
        }
        struct_ser.end()
    }
}
impl<'de> serde::Deserialize<'de> for Subscribed {
    #[allow(deprecated)]
    fn deserialize<D>(deserializer: D) -> std::result::Result<Self, D::Error>
    where
        D: serde::Deserializer<'de>,
    {
        const FIELDS: &[&str] = &[
            "id",
            "channel",
            "verdict",
            "position",
            "alias",
            "conflates",
        ];

        #[allow(clippy::enum_variant_names)]
        enum GeneratedField {
            Id,
            Channel,
            Verdict,
            Position,
            Alias,
            Conflates,
        }
        impl<'de> serde::Deserialize<'de> for GeneratedField {
            fn deserialize<D>(deserializer: D) -> std::result::Result<GeneratedField, D::Error>
            where
                D: serde::Deserializer<'de>,
            {
                struct GeneratedVisitor;

                impl serde::de::Visitor<'_> for GeneratedVisitor {
                    type Value = GeneratedField;

                    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        write!(formatter, "expected one of: {:?}", &FIELDS)
                    }

                    #[allow(unused_variables)]
                    fn visit_str<E>(self, value: &str) -> std::result::Result<GeneratedField, E>
                    where
                        E: serde::de::Error,
                    {
                        match value {
                            "id" => Ok(GeneratedField::Id),
                            "channel" => Ok(GeneratedField::Channel),
                            "verdict" => Ok(GeneratedField::Verdict),
                            "position" => Ok(GeneratedField::Position),
                            "alias" => Ok(GeneratedField::Alias),
                            "conflates" => Ok(GeneratedField::Conflates),
                            _ => Err(serde::de::Error::unknown_field(value, FIELDS)),
                        }
                    }
                }
                deserializer.deserialize_identifier(GeneratedVisitor)
            }
        }
        struct GeneratedVisitor;
        impl<'de> serde::de::Visitor<'de> for GeneratedVisitor {
            type Value = Subscribed;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("struct tidegate.client.v1.Subscribed")
            }

            fn visit_map<V>(self, mut map_: V) -> std::result::Result<Subscribed, V::Error>
                where
                    V: serde::de::MapAccess<'de>,
            {
                let mut id__ = None;
                let mut channel__ = None;
                let mut verdict__ = None;
                let mut position__ = None;
                let mut alias__ = None;
                let mut conflates__ = None;
                while let Some(k) = map_.next_key()? {
                    match k {
                        GeneratedField::Id => {
                            if id__.is_some() {
                                return Err(serde::de::Error::duplicate_field("id"));
                            }
                            id__ = 
                                Some(map_.next_value::<::pbjson::private::NumberDeserialize<_>>()?.0)
                            ;
                        }
                        GeneratedField::Channel => {
                            if channel__.is_some() {
                                return Err(serde::de::Error::duplicate_field("channel"));
                            }
                            channel__ = Some(map_.next_value()?);
                        }
                        GeneratedField::Verdict => {
                            if verdict__.is_some() {
                                return Err(serde::de::Error::duplicate_field("verdict"));
                            }
                            verdict__ = Some(map_.next_value::<Verdict>()? as i32);
                        }
                        GeneratedField::Position => {
                            if position__.is_some() {
                                return Err(serde::de::Error::duplicate_field("position"));
                            }
                            position__ = map_.next_value()?;
                        }
                        GeneratedField::Alias => {
                            if alias__.is_some() {
                                return Err(serde::de::Error::duplicate_field("alias"));
                            }
                            alias__ = 
                                Some(map_.next_value::<::pbjson::private::NumberDeserialize<_>>()?.0)
                            ;
                        }
                        GeneratedField::Conflates => {
                            if conflates__.is_some() {
                                return Err(serde::de::Error::duplicate_field("conflates"));
                            }
                            conflates__ = Some(map_.next_value()?);
                        }
                    }
                }
                Ok(Subscribed {
                    id: id__.unwrap_or_default(),
                    channel: channel__.unwrap_or_default(),
                    verdict: verdict__.unwrap_or_default(),
                    position: position__,
                    alias: alias__.unwrap_or_default(),
                    conflates: conflates__.unwrap_or_default(),
                })
            }
        }
        deserializer.deserialize_struct("tidegate.client.v1.Subscribed", FIELDS, GeneratedVisitor)
    }
}
impl serde::Serialize for Unsubscribe {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if self.id != 0 {
            len += 1;
        }
        if !self.channel.is_empty() {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("tidegate.client.v1.Unsubscribe", len)?;
        if self.id != 0 {
            struct_ser.serialize_field("id", &self.id)?;
        }
        if !self.channel.is_empty() {
            struct_ser.serialize_field("channel", &self.channel)?;
        }
        struct_ser.end()
    }
}
impl<'de> serde::Deserialize<'de> for Unsubscribe {
    #[allow(deprecated)]
    fn deserialize<D>(deserializer: D) -> std::result::Result<Self, D::Error>
    where
        D: serde::Deserializer<'de>,
    {
        const FIELDS: &[&str] = &[
            "id",
            "channel",
        ];

        #[allow(clippy::enum_variant_names)]
        enum GeneratedField {
            Id,
            Channel,
        }
        impl<'de> serde::Deserialize<'de> for GeneratedField {
            fn deserialize<D>(deserializer: D) -> std::result::Result<GeneratedField, D::Error>
            where
                D: serde::Deserializer<'de>,
            {
                struct GeneratedVisitor;

                impl serde::de::Visitor<'_> for GeneratedVisitor {
                    type Value = GeneratedField;

                    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        write!(formatter, "expected one of: {:?}", &FIELDS)
                    }

                    #[allow(unused_variables)]
                    fn visit_str<E>(self, value: &str) -> std::result::Result<GeneratedField, E>
                    where
                        E: serde::de::Error,
                    {
                        match value {
                            "id" => Ok(GeneratedField::Id),
                            "channel" => Ok(GeneratedField::Channel),
                            _ => Err(serde::de::Error::unknown_field(value, FIELDS)),
                        }
                    }
                }
                deserializer.deserialize_identifier(GeneratedVisitor)
            }
        }
        struct GeneratedVisitor;
        impl<'de> serde::de::Visitor<'de> for GeneratedVisitor {
            type Value = Unsubscribe;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("struct tidegate.client.v1.Unsubscribe")
            }

            fn visit_map<V>(self, mut map_: V) -> std::result::Result<Unsubscribe, V::Error>
                where
                    V: serde::de::MapAccess<'de>,
            {
                let mut id__ = None;
                let mut channel__ = None;
                while let Some(k) = map_.next_key()? {
                    match k {
                        GeneratedField::Id => {
                            if id__.is_some() {
                                return Err(serde::de::Error::duplicate_field("id"));
                            }
                            id__ = 
                                Some(map_.next_value::<::pbjson::private::NumberDeserialize<_>>()?.0)
                            ;
                        }
                        GeneratedField::Channel => {
                            if channel__.is_some() {
                                return Err(serde::de::Error::duplicate_field("channel"));
                            }
                            channel__ = Some(map_.next_value()?);
                        }
                    }
                }
                Ok(Unsubscribe {
                    id: id__.unwrap_or_default(),
                    channel: channel__.unwrap_or_default(),
                })
            }
        }
        deserializer.deserialize_struct("tidegate.client.v1.Unsubscribe", FIELDS, GeneratedVisitor)
    }
}
impl serde::Serialize for Unsubscribed {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if self.id != 0 {
            len += 1;
        }
        if !self.channel.is_empty() {
            len += 1;
        }
        if self.code != 0 {
            len += 1;
        }
        if self.alias != 0 {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("tidegate.client.v1.Unsubscribed", len)?;
        if self.id != 0 {
            struct_ser.serialize_field("id", &self.id)?;
        }
        if !self.channel.is_empty() {
            struct_ser.serialize_field("channel", &self.channel)?;
        }
        if self.code != 0 {
            let v = ErrorCode::try_from(self.code)
                .map_err(|_| serde::ser::Error::custom(format!("Invalid variant {}", self.code)))?;
            struct_ser.serialize_field("code", &v)?;
        }
        if self.alias != 0 {
            struct_ser.serialize_field("alias", &self.alias)?;
        }
        struct_ser.end()
    }
}
impl<'de> serde::Deserialize<'de> for Unsubscribed {
    #[allow(deprecated)]
    fn deserialize<D>(deserializer: D) -> std::result::Result<Self, D::Error>
    where
        D: serde::Deserializer<'de>,
    {
        const FIELDS: &[&str] = &[
            "id",
            "channel",
            "code",
            "alias",
        ];

        #[allow(clippy::enum_variant_names)]
        enum GeneratedField {
            Id,
            Channel,
            Code,
            Alias,
        }
        impl<'de> serde::Deserialize<'de> for GeneratedField {
            fn deserialize<D>(deserializer: D) -> std::result::Result<GeneratedField, D::Error>
            where
                D: serde::Deserializer<'de>,
            {
                struct GeneratedVisitor;

                impl serde::de::Visitor<'_> for GeneratedVisitor {
                    type Value = GeneratedField;

                    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        write!(formatter, "expected one of: {:?}", &FIELDS)
                    }

                    #[allow(unused_variables)]
                    fn visit_str<E>(self, value: &str) -> std::result::Result<GeneratedField, E>
                    where
                        E: serde::de::Error,
                    {
                        match value {
                            "id" => Ok(GeneratedField::Id),
                            "channel" => Ok(GeneratedField::Channel),
                            "code" => Ok(GeneratedField::Code),
                            "alias" => Ok(GeneratedField::Alias),
                            _ => Err(serde::de::Error::unknown_field(value, FIELDS)),
                        }
                    }
                }
                deserializer.deserialize_identifier(GeneratedVisitor)
            }
        }
        struct GeneratedVisitor;
        impl<'de> serde::de::Visitor<'de> for GeneratedVisitor {
            type Value = Unsubscribed;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("struct tidegate.client.v1.Unsubscribed")
            }

            fn visit_map<V>(self, mut map_: V) -> std::result::Result<Unsubscribed, V::Error>
                where
                    V: serde::de::MapAccess<'de>,
            {
                let mut id__ = None;
                let mut channel__ = None;
                let mut code__ = None;
                let mut alias__ = None;
                while let Some(k) = map_.next_key()? {
                    match k {
                        GeneratedField::Id => {
                            if id__.is_some() {
                                return Err(serde::de::Error::duplicate_field("id"));
                            }
                            id__ = 
                                Some(map_.next_value::<::pbjson::private::NumberDeserialize<_>>()?.0)
                            ;
                        }
                        GeneratedField::Channel => {
                            if channel__.is_some() {
                                return Err(serde::de::Error::duplicate_field("channel"));
                            }
                            channel__ = Some(map_.next_value()?);
                        }
                        GeneratedField::Code => {
                            if code__.is_some() {
                                return Err(serde::de::Error::duplicate_field("code"));
                            }
                            code__ = Some(map_.next_value::<ErrorCode>()? as i32);
                        }
                        GeneratedField::Alias => {
                            if alias__.is_some() {
                                return Err(serde::de::Error::duplicate_field("alias"));
                            }
                            alias__ = 
                                Some(map_.next_value::<::pbjson::private::NumberDeserialize<_>>()?.0)
                            ;
                        }
                    }
                }
                Ok(Unsubscribed {
                    id: id__.unwrap_or_default(),
                    channel: channel__.unwrap_or_default(),
                    code: code__.unwrap_or_default(),
                    alias: alias__.unwrap_or_default(),
                })
            }
        }
        deserializer.deserialize_struct("tidegate.client.v1.Unsubscribed", FIELDS, GeneratedVisitor)
    }
}
impl serde::Serialize for Verdict {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        let variant = match self {
            Self::Unspecified => "VERDICT_UNSPECIFIED",
            Self::Fresh => "VERDICT_FRESH",
            Self::Recovered => "VERDICT_RECOVERED",
            Self::Resnapshot => "VERDICT_RESNAPSHOT",
            Self::Lost => "VERDICT_LOST",
        };
        serializer.serialize_str(variant)
    }
}
impl<'de> serde::Deserialize<'de> for Verdict {
    #[allow(deprecated)]
    fn deserialize<D>(deserializer: D) -> std::result::Result<Self, D::Error>
    where
        D: serde::Deserializer<'de>,
    {
        const FIELDS: &[&str] = &[
            "VERDICT_UNSPECIFIED",
            "VERDICT_FRESH",
            "VERDICT_RECOVERED",
            "VERDICT_RESNAPSHOT",
            "VERDICT_LOST",
        ];

        struct GeneratedVisitor;

        impl serde::de::Visitor<'_> for GeneratedVisitor {
            type Value = Verdict;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(formatter, "expected one of: {:?}", &FIELDS)
            }

            fn visit_i64<E>(self, v: i64) -> std::result::Result<Self::Value, E>
            where
                E: serde::de::Error,
            {
                i32::try_from(v)
                    .ok()
                    .and_then(|x| x.try_into().ok())
                    .ok_or_else(|| {
                        serde::de::Error::invalid_value(serde::de::Unexpected::Signed(v), &self)
                    })
            }

            fn visit_u64<E>(self, v: u64) -> std::result::Result<Self::Value, E>
            where
                E: serde::de::Error,
            {
                i32::try_from(v)
                    .ok()
                    .and_then(|x| x.try_into().ok())
                    .ok_or_else(|| {
                        serde::de::Error::invalid_value(serde::de::Unexpected::Unsigned(v), &self)
                    })
            }

            fn visit_str<E>(self, value: &str) -> std::result::Result<Self::Value, E>
            where
                E: serde::de::Error,
            {
                match value {
                    "VERDICT_UNSPECIFIED" => Ok(Verdict::Unspecified),
                    "VERDICT_FRESH" => Ok(Verdict::Fresh),
                    "VERDICT_RECOVERED" => Ok(Verdict::Recovered),
                    "VERDICT_RESNAPSHOT" => Ok(Verdict::Resnapshot),
                    "VERDICT_LOST" => Ok(Verdict::Lost),
                    _ => Err(serde::de::Error::unknown_variant(value, FIELDS)),
                }
            }
        }
        deserializer.deserialize_any(GeneratedVisitor)
    }
}
impl serde::Serialize for Welcome {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if !self.connection_id.is_empty() {
            len += 1;
        }
        if !self.session_id.is_empty() {
            len += 1;
        }
        if !self.user.is_empty() {
            len += 1;
        }
        if !self.session_ticket.is_empty() {
            len += 1;
        }
        if self.limits.is_some() {
            len += 1;
        }
        if !self.capabilities.is_empty() {
            len += 1;
        }
        if self.token_expires_at_ms != 0 {
            len += 1;
        }
        if self.server_time_ms != 0 {
            len += 1;
        }
        if !self.gateway.is_empty() {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("tidegate.client.v1.Welcome", len)?;
        if !self.connection_id.is_empty() {
            struct_ser.serialize_field("connectionId", &self.connection_id)?;
        }
        if !self.session_id.is_empty() {
            struct_ser.serialize_field("sessionId", &self.session_id)?;
        }
        if !self.user.is_empty() {
            struct_ser.serialize_field("user", &self.user)?;
        }
        if !self.session_ticket.is_empty() {
            #[allow(clippy::needless_borrow)]
            #[allow(clippy::needless_borrows_for_generic_args)]
            struct_ser.serialize_field("sessionTicket", pbjson::private::base64::encode(&self.session_ticket).as_str())?;
        }
        if let Some(v) = self.limits.as_ref() {
            struct_ser.serialize_field("limits", v)?;
        }
        if !self.capabilities.is_empty() {
            struct_ser.serialize_field("capabilities", &self.capabilities)?;
        }
        if self.token_expires_at_ms != 0 {
            #[allow(clippy::needless_borrow)]
            #[allow(clippy::needless_borrows_for_generic_args)]
            struct_ser.serialize_field("tokenExpiresAtMs", ToString::to_string(&self.token_expires_at_ms).as_str())?;
        }
        if self.server_time_ms != 0 {
            #[allow(clippy::needless_borrow)]
            #[allow(clippy::needless_borrows_for_generic_args)]
            struct_ser.serialize_field("serverTimeMs", ToString::to_string(&self.server_time_ms).as_str())?;
        }
        if !self.gateway.is_empty() {
            struct_ser.serialize_field("gateway", &self.gateway)?;
        }
        struct_ser.end()
    }
}
impl<'de> serde::Deserialize<'de> for Welcome {
    #[allow(deprecated)]
    fn deserialize<D>(deserializer: D) -> std::result::Result<Self, D::Error>
    where
        D: serde::Deserializer<'de>,
    {
        const FIELDS: &[&str] = &[
            "connection_id",
            "connectionId",
            "session_id",
            "sessionId",
            "user",
            "session_ticket",
            "sessionTicket",
            "limits",
            "capabilities",
            "token_expires_at_ms",
            "tokenExpiresAtMs",
            "server_time_ms",
            "serverTimeMs",
            "gateway",
        ];

        #[allow(clippy::enum_variant_names)]
        enum GeneratedField {
            ConnectionId,
            SessionId,
            User,
            SessionTicket,
            Limits,
            Capabilities,
            TokenExpiresAtMs,
            ServerTimeMs,
            Gateway,
        }
        impl<'de> serde::Deserialize<'de> for GeneratedField {
            fn deserialize<D>(deserializer: D) -> std::result::Result<GeneratedField, D::Error>
            where
                D: serde::Deserializer<'de>,
            {
                struct GeneratedVisitor;

                impl serde::de::Visitor<'_> for GeneratedVisitor {
                    type Value = GeneratedField;

                    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        write!(formatter, "expected one of: {:?}", &FIELDS)
                    }

                    #[allow(unused_variables)]
                    fn visit_str<E>(self, value: &str) -> std::result::Result<GeneratedField, E>
                    where
                        E: serde::de::Error,
                    {
                        match value {
                            "connectionId" | "connection_id" => Ok(GeneratedField::ConnectionId),
                            "sessionId" | "session_id" => Ok(GeneratedField::SessionId),
                            "user" => Ok(GeneratedField::User),
                            "sessionTicket" | "session_ticket" => Ok(GeneratedField::SessionTicket),
                            "limits" => Ok(GeneratedField::Limits),
                            "capabilities" => Ok(GeneratedField::Capabilities),
                            "tokenExpiresAtMs" | "token_expires_at_ms" => Ok(GeneratedField::TokenExpiresAtMs),
                            "serverTimeMs" | "server_time_ms" => Ok(GeneratedField::ServerTimeMs),
                            "gateway" => Ok(GeneratedField::Gateway),
                            _ => Err(serde::de::Error::unknown_field(value, FIELDS)),
                        }
                    }
                }
                deserializer.deserialize_identifier(GeneratedVisitor)
            }
        }
        struct GeneratedVisitor;
        impl<'de> serde::de::Visitor<'de> for GeneratedVisitor {
            type Value = Welcome;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("struct tidegate.client.v1.Welcome")
            }

            fn visit_map<V>(self, mut map_: V) -> std::result::Result<Welcome, V::Error>
                where
                    V: serde::de::MapAccess<'de>,
            {
                let mut connection_id__ = None;
                let mut session_id__ = None;
                let mut user__ = None;
                let mut session_ticket__ = None;
                let mut limits__ = None;
                let mut capabilities__ = None;
                let mut token_expires_at_ms__ = None;
                let mut server_time_ms__ = None;
                let mut gateway__ = None;
                while let Some(k) = map_.next_key()? {
                    match k {
                        GeneratedField::ConnectionId => {
                            if connection_id__.is_some() {
                                return Err(serde::de::Error::duplicate_field("connectionId"));
                            }
                            connection_id__ = Some(map_.next_value()?);
                        }
                        GeneratedField::SessionId => {
                            if session_id__.is_some() {
                                return Err(serde::de::Error::duplicate_field("sessionId"));
                            }
                            session_id__ = Some(map_.next_value()?);
                        }
                        GeneratedField::User => {
                            if user__.is_some() {
                                return Err(serde::de::Error::duplicate_field("user"));
                            }
                            user__ = Some(map_.next_value()?);
                        }
                        GeneratedField::SessionTicket => {
                            if session_ticket__.is_some() {
                                return Err(serde::de::Error::duplicate_field("sessionTicket"));
                            }
                            session_ticket__ = 
                                Some(map_.next_value::<::pbjson::private::BytesDeserialize<_>>()?.0)
                            ;
                        }
                        GeneratedField::Limits => {
                            if limits__.is_some() {
                                return Err(serde::de::Error::duplicate_field("limits"));
                            }
                            limits__ = map_.next_value()?;
                        }
                        GeneratedField::Capabilities => {
                            if capabilities__.is_some() {
                                return Err(serde::de::Error::duplicate_field("capabilities"));
                            }
                            capabilities__ = Some(map_.next_value()?);
                        }
                        GeneratedField::TokenExpiresAtMs => {
                            if token_expires_at_ms__.is_some() {
                                return Err(serde::de::Error::duplicate_field("tokenExpiresAtMs"));
                            }
                            token_expires_at_ms__ = 
                                Some(map_.next_value::<::pbjson::private::NumberDeserialize<_>>()?.0)
                            ;
                        }
                        GeneratedField::ServerTimeMs => {
                            if server_time_ms__.is_some() {
                                return Err(serde::de::Error::duplicate_field("serverTimeMs"));
                            }
                            server_time_ms__ = 
                                Some(map_.next_value::<::pbjson::private::NumberDeserialize<_>>()?.0)
                            ;
                        }
                        GeneratedField::Gateway => {
                            if gateway__.is_some() {
                                return Err(serde::de::Error::duplicate_field("gateway"));
                            }
                            gateway__ = Some(map_.next_value()?);
                        }
                    }
                }
                Ok(Welcome {
                    connection_id: connection_id__.unwrap_or_default(),
                    session_id: session_id__.unwrap_or_default(),
                    user: user__.unwrap_or_default(),
                    session_ticket: session_ticket__.unwrap_or_default(),
                    limits: limits__,
                    capabilities: capabilities__.unwrap_or_default(),
                    token_expires_at_ms: token_expires_at_ms__.unwrap_or_default(),
                    server_time_ms: server_time_ms__.unwrap_or_default(),
                    gateway: gateway__.unwrap_or_default(),
                })
            }
        }
        deserializer.deserialize_struct("tidegate.client.v1.Welcome", FIELDS, GeneratedVisitor)
    }
}
