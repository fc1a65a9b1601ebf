//! The routes in force and their origins: built at the start, and anew at every reload.

use super::{
    Listen, Settings, StartError,
    certificates::{Certificates, Set},
    expiry::Expiry,
};
use crate::{
    admin::InForce,
    origin::{Client, Leg, Origin, Resolver, Resolving, Rules, Upstream},
    proxy::{BoundRoute, Matcher, Route, Routes},
};
use parking_lot::Mutex;
use std::{sync::Arc, time::SystemTime};

/// What can be replaced while the process runs.
#[derive(Debug)]
pub(super) struct Table {
    pub routes: Arc<Routes>,
    client: Arc<Client>,
    origins: Mutex<Known>,
    pub in_force: Arc<InForce>,
    /// What each TLS listener shows.
    certificates: Mutex<Vec<(Listen, Arc<Certificates>)>>,
    pub expiry: Expiry,
}

/// The origins in force.
#[derive(Debug, Default)]
struct Known {
    resolver: Option<(Resolving, Arc<Resolver>)>,
    origins: Vec<Arc<Origin>>,
}

impl Table {
    /// One that has nothing yet.
    pub fn new(client: Arc<Client>) -> Self {
        Self {
            routes: Arc::default(),
            client,
            origins: Mutex::default(),
            in_force: Arc::default(),
            certificates: Mutex::default(),
            expiry: Expiry::new(),
        }
    }

    /// Puts a configuration's origins and routes in the place of those before, all or none. An
    /// origin whose settings are the same keeps its record: its breakers, its queue.
    pub fn load(&self, settings: &Settings) -> Result<(), StartError> {
        let certificates = self.read_certificates(&settings.listen)?;
        let mut known = self.origins.lock();
        let resolver = match &known.resolver {
            Some((resolving, resolver)) if *resolving == settings.resolving => resolver.clone(),
            _ => Resolver::new(&settings.resolving)?,
        };
        let same_names = known
            .resolver
            .as_ref()
            .is_some_and(|(_, before)| Arc::ptr_eq(before, &resolver));
        let mut origins = Vec::new();
        for config in &settings.origins {
            let before = known
                .origins
                .iter()
                .find(|origin| origin.config() == config);
            let before = before.filter(|origin| same_names && !origin.has_files());
            origins.push(match before {
                Some(origin) => origin.clone(),
                None => Arc::new(Origin::new(config.clone(), resolver.clone())?),
            });
        }
        let routes = settings.routes.iter().enumerate();
        let bound = routes.map(|(at, route)| self.bind(at, route, &origins));
        let bound = bound.collect::<Result<Vec<_>, _>>()?;
        for origin in &origins {
            let is_new = !known.origins.iter().any(|known| Arc::ptr_eq(known, origin));
            if is_new {
                origin.start_checks(&self.client);
            }
        }
        self.routes.replace(bound);
        self.client.stats().watch(origins.clone());
        self.in_force.replace(settings.configured());
        self.show(certificates);
        *known = Known {
            resolver: Some((settings.resolving.clone(), resolver)),
            origins,
        };
        Ok(())
    }

    /// The certificates of a listener, if it speaks TLS.
    pub fn shown(&self, listen: &Listen) -> Option<Arc<Certificates>> {
        let shown = self.certificates.lock();
        let own = shown.iter().find(|(known, _)| known == listen);
        own.map(|(_, certificates)| certificates.clone())
    }

    /// Reads the files of all TLS listeners anew.
    fn read_certificates(&self, listeners: &[Listen]) -> Result<Vec<(Listen, Set)>, StartError> {
        let with_tls = listeners.iter().filter_map(|l| Some((l, l.tls.as_ref()?)));
        let read = with_tls.map(|(l, tls)| Ok((l.clone(), Set::load(tls, l.address)?)));
        read.collect()
    }

    /// Shows what was read from now on. Listeners stay as they are from the start on.
    fn show(&self, read: Vec<(Listen, Set)>) {
        let mut shown = self.certificates.lock();
        let sets = read.iter().map(|(_, set)| set);
        self.expiry.replace(sets, SystemTime::now());
        for (listen, set) in read {
            match shown.iter().find(|(known, _)| *known == listen) {
                Some((_, certificates)) => certificates.replace(set),
                None => shown.push((listen, Arc::new(Certificates::new(set)))),
            }
        }
    }

    /// A route with its origins and secrets, which are read anew.
    fn bind(
        &self,
        at: usize,
        route: &Route,
        origins: &[Arc<Origin>],
    ) -> Result<Arc<BoundRoute>, StartError> {
        let legs = route.origins.iter().filter_map(|named| {
            let origin = origins.iter().find(|origin| origin.name() == named.name)?;
            Some(Leg {
                origin: origin.clone(),
                path: named.path.clone(),
                ttl: named.ttl,
            })
        });
        let rules = Rules {
            pattern: match &route.matcher {
                Matcher::Pattern(pattern) => Some(pattern.clone()),
                Matcher::Prefix(_) => None,
            },
            variants: route.variants.clone(),
            next_on: route.next_on.clone(),
            fields: route.request_headers.clone(),
            features: route.features,
        };
        let upstream = Upstream::new(legs.collect(), rules, self.client.clone());
        let bound = BoundRoute::load(at, route.clone(), Arc::new(upstream));
        let bound = bound.map_err(|reason| StartError::Signed { at, reason })?;
        Ok(Arc::new(bound))
    }
}
