/// What happens in a shop.
pub mod shop {
    #[derive(::core::clone::Clone, ::core::marker::Copy, ::core::fmt::Debug)]
    /// Something was sold.
    pub struct Sold<'a> {
        /// What.
        pub item: &'a str,
        /// How many.
        pub count: u32,
    }
    #[derive(::core::clone::Clone, ::core::marker::Copy, ::core::fmt::Debug)]
    /// A minute went by.
    pub struct Tick;
    /// The event set of this module, as a type.
    #[derive(::core::clone::Clone, ::core::marker::Copy, ::core::fmt::Debug)]
    pub enum Events {}
    impl ::callbacks::EventSet for Events {
        type Ref<'a> = AnyEvent<'a>;
        type Owned = owned::AnyEvent;
        type Reply = ::core::convert::Infallible;
        const METHODS: &'static [&'static str] = &["on_sold", "on_tick"];
        const DECISIONS: ::callbacks::Interests = ::callbacks::Interests::of(&[]);
        fn index(event: &AnyEvent<'_>) -> u32 {
            match event {
                AnyEvent::Sold(_) => 0u32,
                AnyEvent::Tick(_) => 1u32,
            }
        }
        fn own(event: &AnyEvent<'_>) -> owned::AnyEvent {
            match event {
                AnyEvent::Sold(event) => {
                    owned::AnyEvent::Sold(owned::Sold {
                        item: ::std::borrow::ToOwned::to_owned(event.item),
                        count: event.count,
                    })
                }
                AnyEvent::Tick(event) => owned::AnyEvent::Tick(owned::Tick {}),
            }
        }
        fn view(event: &owned::AnyEvent) -> AnyEvent<'_> {
            match event {
                owned::AnyEvent::Sold(event) => {
                    AnyEvent::Sold(Sold {
                        item: ::core::borrow::Borrow::borrow(&event.item),
                        count: event.count,
                    })
                }
                owned::AnyEvent::Tick(event) => AnyEvent::Tick(Tick {}),
            }
        }
    }
    /// Any event of this set.
    #[derive(::core::clone::Clone, ::core::marker::Copy, ::core::fmt::Debug)]
    #[non_exhaustive]
    pub enum AnyEvent<'a> {
        /// A [`Sold`].
        Sold(Sold<'a>),
        /// A [`Tick`].
        Tick(Tick),
    }
    impl<'fields> ::callbacks::Event for Sold<'fields> {
        type Set = Events;
        type At<'event> = Sold<'event>;
        type Any = AnyEvent<'fields>;
        type Reply = ();
        const INDEX: u32 = 0u32;
        const NAME: &'static str = "Sold";
        fn view(&self) -> AnyEvent<'_> {
            AnyEvent::Sold(*self)
        }
        #[inline]
        fn into_any(self) -> AnyEvent<'fields> {
            AnyEvent::Sold(self)
        }
        #[inline]
        fn any<'view>(any: &'view AnyEvent<'fields>) -> &'view AnyEvent<'view> {
            any
        }
        fn of<'view, 'event>(
            any: &'view AnyEvent<'event>,
        ) -> ::core::option::Option<&'view Self::At<'event>>
        where
            'event: 'view,
        {
            match any {
                AnyEvent::Sold(event) => ::core::option::Option::Some(event),
                _ => ::core::option::Option::None,
            }
        }
        fn any_reply(
            reply: Self::Reply,
        ) -> ::core::option::Option<<Events as ::callbacks::EventSet>::Reply> {
            {
                let () = reply;
                ::core::option::Option::None
            }
        }
    }
    impl ::callbacks::Event for Tick {
        type Set = Events;
        type At<'event> = Tick;
        type Any = AnyEvent<'static>;
        type Reply = ();
        const INDEX: u32 = 1u32;
        const NAME: &'static str = "Tick";
        fn view(&self) -> AnyEvent<'_> {
            AnyEvent::Tick(*self)
        }
        #[inline]
        fn into_any(self) -> AnyEvent<'static> {
            AnyEvent::Tick(self)
        }
        #[inline]
        fn any<'view>(any: &'view AnyEvent<'static>) -> &'view AnyEvent<'view> {
            any
        }
        fn of<'view, 'event>(
            any: &'view AnyEvent<'event>,
        ) -> ::core::option::Option<&'view Self::At<'event>>
        where
            'event: 'view,
        {
            match any {
                AnyEvent::Tick(event) => ::core::option::Option::Some(event),
                _ => ::core::option::Option::None,
            }
        }
        fn any_reply(
            reply: Self::Reply,
        ) -> ::core::option::Option<<Events as ::callbacks::EventSet>::Reply> {
            {
                let () = reply;
                ::core::option::Option::None
            }
        }
    }
    /// Handles the events of this set with plain methods, one for each event.
    ///
    /// `#[callback_handler]` implements it; to write it by hand, register with [`ByHand`].
    pub trait CallbackHandler {
        /// The events to be called for. Default: all.
        fn interests(&self) -> ::callbacks::Interests {
            ::callbacks::Interests::ALL
        }
        /// Something was sold.
        ///
        /// Called for every [`Sold`]. Default: does nothing.
        fn on_sold(
            &self,
            event: &Sold<'_>,
            run: &::callbacks::Run<'_>,
        ) -> ::core::result::Result<(), ::callbacks::BoxError> {
            let _ = (event, run);
            ::core::result::Result::Ok(())
        }
        /// A minute went by.
        ///
        /// Called for every [`Tick`]. Default: does nothing.
        fn on_tick(
            &self,
            event: &Tick,
            run: &::callbacks::Run<'_>,
        ) -> ::core::result::Result<(), ::callbacks::BoxError> {
            let _ = (event, run);
            ::core::result::Result::Ok(())
        }
    }
    /// Handles the events of this set with async methods, one for each event.
    ///
    /// `#[callback_handler]` implements it; to write it by hand, put `#[async_trait]` on the
    /// impl and register with [`ByHand`].
    pub trait AsyncCallbackHandler {
        /// The events to be called for. Default: all.
        fn interests(&self) -> ::callbacks::Interests {
            ::callbacks::Interests::ALL
        }
        /// Something was sold.
        ///
        /// Called for every [`Sold`]. Default: does nothing.
        fn on_sold<'this, 'event, 'fields, 'run, 'info, 'future>(
            &'this self,
            event: &'event Sold<'fields>,
            run: &'run ::callbacks::Run<'info>,
        ) -> ::callbacks::BoxFuture<
            'future,
            ::core::result::Result<(), ::callbacks::BoxError>,
        >
        where
            'this: 'future,
            'event: 'future,
            'fields: 'future,
            'run: 'future,
            'info: 'future,
            Self: 'future,
        {
            let _ = (event, run);
            ::std::boxed::Box::pin(::core::future::ready(::core::result::Result::Ok(())))
        }
        /// A minute went by.
        ///
        /// Called for every [`Tick`]. Default: does nothing.
        fn on_tick<'this, 'event, 'run, 'info, 'future>(
            &'this self,
            event: &'event Tick,
            run: &'run ::callbacks::Run<'info>,
        ) -> ::callbacks::BoxFuture<
            'future,
            ::core::result::Result<(), ::callbacks::BoxError>,
        >
        where
            'this: 'future,
            'event: 'future,
            'run: 'future,
            'info: 'future,
            Self: 'future,
        {
            let _ = (event, run);
            ::std::boxed::Box::pin(::core::future::ready(::core::result::Result::Ok(())))
        }
    }
    /// Handles the events of this set with plain methods that are never called two at once.
    ///
    /// `#[callback_handler]` implements it for a block with methods that take `&mut self`.
    pub trait ExclusiveCallbackHandler {
        /// Something was sold.
        ///
        /// Called for every [`Sold`]. Default: does nothing.
        fn on_sold(
            &mut self,
            event: &Sold<'_>,
            run: &::callbacks::Run<'_>,
        ) -> ::core::result::Result<(), ::callbacks::BoxError> {
            let _ = (event, run);
            ::core::result::Result::Ok(())
        }
        /// A minute went by.
        ///
        /// Called for every [`Tick`]. Default: does nothing.
        fn on_tick(
            &mut self,
            event: &Tick,
            run: &::callbacks::Run<'_>,
        ) -> ::core::result::Result<(), ::callbacks::BoxError> {
            let _ = (event, run);
            ::core::result::Result::Ok(())
        }
    }
    /// Registers a type that implements [`CallbackHandler`] and [`AsyncCallbackHandler`] by
    /// hand.
    #[derive(
        ::core::clone::Clone,
        ::core::marker::Copy,
        ::core::fmt::Debug,
        ::core::default::Default,
    )]
    pub struct ByHand<T>(pub T);
    impl<T> ::callbacks::Deliver<Events> for ByHand<T>
    where
        T: CallbackHandler + AsyncCallbackHandler + 'static,
    {
        fn name(&self) -> &'static str {
            ::core::any::type_name::<T>()
        }
        fn interests(&self) -> ::callbacks::Interests {
            CallbackHandler::interests(&self.0)
        }
        fn async_interests(&self) -> ::callbacks::Interests {
            AsyncCallbackHandler::interests(&self.0)
        }
        fn deliver(
            &self,
            run: &::callbacks::Run<'_>,
            event: &AnyEvent<'_>,
        ) -> ::callbacks::Outcome {
            __private::deliver(&self.0, run, event)
        }
        fn deliver_async<'a, 'e: 'a>(
            &'a self,
            run: &'a ::callbacks::Run<'e>,
            event: &'a AnyEvent<'e>,
        ) -> ::callbacks::BoxFuture<'a, ::callbacks::Outcome> {
            __private::deliver_async(&self.0, run, event)
        }
    }
    impl<T> ::callbacks::Handler<Events> for ByHand<T>
    where
        T: CallbackHandler + AsyncCallbackHandler + ::core::marker::Send
            + ::core::marker::Sync + 'static,
    {
        type Delivery = Self;
        fn register(self) -> ::callbacks::Registered<Events, Self> {
            ::callbacks::Registered::new(::std::sync::Arc::new(self))
        }
    }
    /// The events of this set as values that own their fields.
    pub mod owned {
        #[allow(unused_imports)]
        use super::*;
        /// The owned twin of [`Sold`](super::Sold).
        #[derive(::core::clone::Clone, ::core::fmt::Debug)]
        pub struct Sold {
            /// See [`Sold::item`](super::Sold::item).
            pub item: ::std::string::String,
            /// See [`Sold::count`](super::Sold::count).
            pub count: u32,
        }
        /// The owned twin of [`Tick`](super::Tick).
        #[derive(::core::clone::Clone, ::core::fmt::Debug)]
        pub struct Tick;
        /// Any event of the set, owned.
        #[derive(::core::clone::Clone, ::core::fmt::Debug)]
        #[non_exhaustive]
        pub enum AnyEvent {
            /// A [`Sold`].
            Sold(Sold),
            /// A [`Tick`].
            Tick(Tick),
        }
    }
    /// What generated code needs, at the end of whatever path leads to this set.
    #[doc(hidden)]
    #[allow(clippy::pub_use)]
    pub mod __private {
        pub use ::callbacks::__private::*;
        #[doc(hidden)]
        #[macro_export]
        #[allow(unused_macros, non_local_definitions)]
        macro_rules! __shop_events_7900c9d4b245338c {
            ({ $($set:tt)* } $($handler:tt)*) => {
                $($set)* ::__private::expand_handler! { { $($set)* } { on_sold = Sold['_]
                { item, count } on_tick = Tick[] {} } {} $($handler)* }
            };
        }
        #[doc(hidden)]
        #[allow(unused_imports)]
        pub use __shop_events_7900c9d4b245338c as table;
        pub fn deliver<H: super::CallbackHandler>(
            handler: &H,
            run: &::callbacks::Run<'_>,
            event: &super::AnyEvent<'_>,
        ) -> ::callbacks::Outcome {
            match event {
                super::AnyEvent::Sold(event) => {
                    super::CallbackHandler::on_sold(handler, event, run)
                }
                super::AnyEvent::Tick(event) => {
                    super::CallbackHandler::on_tick(handler, event, run)
                }
            }
        }
        pub fn deliver_mut<H: super::ExclusiveCallbackHandler>(
            handler: &mut H,
            run: &::callbacks::Run<'_>,
            event: &super::AnyEvent<'_>,
        ) -> ::callbacks::Outcome {
            match event {
                super::AnyEvent::Sold(event) => {
                    super::ExclusiveCallbackHandler::on_sold(handler, event, run)
                }
                super::AnyEvent::Tick(event) => {
                    super::ExclusiveCallbackHandler::on_tick(handler, event, run)
                }
            }
        }
        pub fn deliver_async<'a, 'e: 'a, H: super::AsyncCallbackHandler>(
            handler: &'a H,
            run: &'a ::callbacks::Run<'e>,
            event: &'a super::AnyEvent<'e>,
        ) -> ::callbacks::BoxFuture<'a, ::callbacks::Outcome> {
            match event {
                super::AnyEvent::Sold(event) => {
                    super::AsyncCallbackHandler::on_sold(handler, event, run)
                }
                super::AnyEvent::Tick(event) => {
                    super::AsyncCallbackHandler::on_tick(handler, event, run)
                }
            }
        }
    }
}
