#[automatically_derived]
impl<T: Debug + Send + Sync> shop::CallbackHandler for Log<T>
where
    Self: 'static,
{
    fn interests(&self) -> shop::__private::Interests {
        const {
            shop::__private::Interests::of(
                &[<shop::Sold<'_> as shop::__private::Event>::INDEX],
            )
        }
    }
    fn on_sold(
        &self,
        event: &shop::Sold<'_>,
        _run: &shop::__private::Run<'_>,
    ) -> shop::__private::Outcome {
        let event = event;
        let event: &shop::Sold<'_> = event;
        Self::on_sold(self, event);
        ::core::result::Result::Ok(())
    }
}
#[automatically_derived]
impl<T: Debug + Send + Sync> shop::AsyncCallbackHandler for Log<T>
where
    Self: 'static,
{
    fn interests(&self) -> shop::__private::Interests {
        const {
            shop::__private::Interests::of(
                &[
                    #[cfg(feature = "clock")]
                    <shop::Tick as shop::__private::Event>::INDEX,
                ],
            )
        }
    }
    #[cfg(feature = "clock")]
    fn on_tick<'__this, '__event, '__run, '__info, '__future>(
        &'__this self,
        _event: &'__event shop::Tick,
        _run: &'__run shop::__private::Run<'__info>,
    ) -> shop::__private::BoxFuture<'__future, shop::__private::Outcome>
    where
        '__this: '__future,
        '__event: '__future,
        '__run: '__future,
        '__info: '__future,
        Self: '__future,
    {
        ::std::boxed::Box::pin(async move {
            Self::on_tick(self).await;
            ::core::result::Result::Ok(())
        })
    }
}
#[automatically_derived]
impl<T: Debug + Send + Sync> shop::__private::Deliver<shop::Events> for Log<T>
where
    Self: 'static,
{
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
impl<T: Debug + Send + Sync> shop::__private::Handler<shop::Events> for Log<T>
where
    Self: 'static,
{
    type Delivery = Self;
    fn register(self) -> shop::__private::Registered<shop::Events, Self::Delivery> {
        shop::__private::Registered::new(::std::sync::Arc::new(self))
    }
}
