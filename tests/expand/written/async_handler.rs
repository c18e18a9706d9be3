#[automatically_derived]
impl shop::CallbackHandler for Saver {
    fn interests(&self) -> shop::__private::Interests {
        shop::__private::Interests::NONE
    }
}
#[automatically_derived]
impl shop::AsyncCallbackHandler for Saver {
    fn interests(&self) -> shop::__private::Interests {
        const {
            shop::__private::Interests::of(
                &[<shop::Sold<'_> as shop::__private::Event>::INDEX],
            )
        }
    }
    fn on_sold<'__this, '__event, '__fields, '__run, '__info, '__future>(
        &'__this self,
        event: &'__event shop::Sold<'__fields>,
        run: &'__run shop::__private::Run<'__info>,
    ) -> shop::__private::BoxFuture<'__future, shop::__private::Outcome>
    where
        '__this: '__future,
        '__event: '__future,
        '__fields: '__future,
        '__run: '__future,
        '__info: '__future,
        Self: '__future,
    {
        ::std::boxed::Box::pin(async move {
            let item = event.item;
            let item: &str = item;
            let run = run;
            let run: &Run<'_> = run;
            <io::Result<
                (),
            > as shop::__private::IntoOutcome<
                (),
            >>::into_outcome(Self::on_sold(self, item, run).await)
        })
    }
}
#[automatically_derived]
impl shop::__private::Deliver<shop::Events> for Saver {
    fn interests(&self) -> shop::__private::Interests {
        shop::CallbackHandler::interests(self)
    }
    fn async_interests(&self) -> shop::__private::Interests {
        shop::AsyncCallbackHandler::interests(self)
    }
    fn deliver(
        &self,
        run: &shop::__private::Run<'_>,
        event: &<shop::Events as shop::__private::EventSet>::Ref<'_>,
    ) -> shop::__private::Outcome {
        shop::__private::deliver(self, run, event)
    }
    fn deliver_async<'__this, '__event: '__this>(
        &'__this self,
        run: &'__this shop::__private::Run<'__event>,
        event: &'__this <shop::Events as shop::__private::EventSet>::Ref<'__event>,
    ) -> shop::__private::BoxFuture<'__this, shop::__private::Outcome> {
        shop::__private::deliver_async(self, run, event)
    }
}
#[automatically_derived]
impl shop::__private::Handler<shop::Events> for Saver {
    type Delivery = Self;
    fn register(self) -> shop::__private::Registered<shop::Events, Self::Delivery> {
        shop::__private::Registered::new(::std::sync::Arc::new(self))
    }
}
