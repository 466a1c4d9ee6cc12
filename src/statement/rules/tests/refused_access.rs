//! Standing, seals, compelled access and what is reported of it, where the rules do not permit it.

use super::refusals;
use crate::digest::StatementId;
use crate::statement::kinds::Kind as _;
use crate::statement::kinds::access_request::RequestKind;
use crate::statement::kinds::annotation::Annotation;
use crate::statement::kinds::bulletin::Bulletin;
use crate::statement::kinds::custody_report::{CustodyEvent, CustodyReport, Recipients};
use crate::statement::kinds::delay_order::{DelayOrder, Delayed};
use crate::statement::kinds::demand_response::{DemandResponse, Outcome};
use crate::statement::kinds::erasure::{Erasure, ErasureBasis};
use crate::statement::kinds::insider_access::InsiderAccess;
use crate::statement::kinds::legal_demand::{DemandSource, LegalDemand, NationalBand, ProcessKind};
use crate::statement::kinds::notice::{Notice, NoticeState};
use crate::statement::kinds::party::Party;
use crate::statement::kinds::party_status::{PartyStatus, StatusChange, StatusReason};
use crate::statement::kinds::release::Release;
use crate::statement::kinds::request_closing::{ClosingOutcome, RequestClosing};
use crate::statement::kinds::unsealing::Unsealing;
use crate::statement::refusal::{Reason, Refusal};
use crate::statement::testing::*;
use crate::statement::words::{Band, DataKind, Day, DelayGround, PartyKind, Role};

pub(super) fn status(status: StatusChange) -> PartyStatus {
    PartyStatus {
        status,
        reason: (status != StatusChange::Confirmed).then_some(StatusReason::KeysLost),
        domain_check: (status == StatusChange::Confirmed).then(|| Party::example().domain_check),
        ..PartyStatus::example()
    }
}

pub(super) fn suspend(world: &mut World) {
    world
        .log(status(StatusChange::Suspended), operator_admin())
        .unwrap();
}

pub(super) fn withdraw(world: &mut World) {
    world
        .log(status(StatusChange::Withdrawn), operator_admin())
        .unwrap();
}

pub(super) fn closing(world: &World, outcome: ClosingOutcome) -> RequestClosing {
    RequestClosing {
        request: world.request,
        outcome,
    }
}

/// The seal of the journey's request.
pub(super) fn case_seal() -> Unsealing {
    Unsealing {
        seal: attached("case number 6"),
        opening: attached("opening"),
    }
}

pub(super) fn delay_opening(world: &World, days: i64) -> DelayOrder {
    DelayOrder {
        seal: Some(attached("case number 6")),
        until: Day::of(world.now.plus_seconds(days * DAY)),
        ..DelayOrder::example()
    }
}

pub(super) fn erasure(of: &str) -> Erasure {
    Erasure {
        digest: attached(of),
        ..Erasure::example()
    }
}

fn custody(world: &World) -> CustodyReport {
    CustodyReport {
        about: world.disclosure,
        ..CustodyReport::example()
    }
}

fn successor(of: &str) -> Party {
    Party {
        keys: vec![new_key("new admin", Role::Admin, None)],
        succeeds: Some(id(of)),
        ..listed("lakeland2.example", PartyKind::Agency)
    }
}

fn succeed(world: &mut World, of: &str) -> Result<StatementId, Refusal> {
    let voice = registrars("lakeland2.example", &["new admin"]);
    world.log(successor(of), voice)
}

fn demanded(world: &mut World) -> StatementId {
    world.log(world.demand(), agency_officer()).unwrap()
}

fn on_paper(world: &World) -> LegalDemand {
    LegalDemand {
        source: DemandSource::Paper,
        ..world.demand()
    }
}

fn response(demand: StatementId) -> DemandResponse {
    DemandResponse {
        demand: Some(demand),
        ..DemandResponse::example()
    }
}

fn notice(demand: StatementId) -> Notice {
    Notice {
        demand,
        ..Notice::example()
    }
}

refusals! {
    the_operator_suspends_itself: BadValue "/party", at Limits: |w|
        w.log(PartyStatus { party: id(OPERATOR), ..status(StatusChange::Suspended) }, operator_admin());
    a_stranger_suspends: WrongAuthor "/issuer", at Agency: |w| w.log(status(StatusChange::Suspended), party(VENDOR, "vendor admin"));
    nobody_suspended: UnknownParty "/party", at Vendor: |w| w.log(status(StatusChange::Suspended), operator_admin());
    suspended_without_a_reason: BadValue "/reason", at Agency: |w|
        w.log(PartyStatus { reason: None, ..status(StatusChange::Suspended) }, operator_admin());
    confirmed_for_a_reason: BadValue "/reason", at Agency: |w|
        w.log(PartyStatus { reason: Some(StatusReason::Resolved), ..status(StatusChange::Confirmed) }, operator_admin());
    confirmed_unchecked: BadValue "/domain_check", at Agency: |w|
        w.log(PartyStatus { domain_check: None, ..status(StatusChange::Confirmed) }, operator_admin());
    suspended_twice: AlreadySo "/status", at Agency: |w| {
        suspend(w);
        w.log(PartyStatus { reason: Some(StatusReason::OwnWish), ..status(StatusChange::Suspended) }, operator_admin())
    };
    reinstated_from_nothing: AlreadySo "/status", at Agency: |w| w.log(status(StatusChange::Reinstated), operator_admin());
    back_from_withdrawal: AlreadySo "/status", at Agency: |w| {
        withdraw(w);
        w.log(status(StatusChange::Reinstated), operator_admin())
    };
    a_suspended_agency_asks: PartySuspended "/issuer", at Agreement: |w| {
        suspend(w);
        w.log(w.ask(), agency_officer())
    };
    a_suspended_agency_collects: PartySuspended "/issuer", at Disclosure: |w| {
        suspend(w);
        w.log(w.collect(), agency_officer())
    };
    a_suspended_agency_agrees: PartySuspended "/parties", at Agency: |w| {
        suspend(w);
        w.log(agreement(), agency_and_vendor())
    };
    a_suspended_agency_adds_a_key: PartySuspended "/party", at Agency: |w| {
        suspend(w);
        let change = super::refused_signers::keys(&[new_key("new", Role::Admin, None)], &[]);
        w.log(change, agency_admin().signed_by(&["agency admin", "new"]))
    };
    consent_to_a_suspended_agency: PartySuspended "/request", at Request: |w| {
        suspend(w);
        w.log(w.consent(0), resident("resident"))
    };
    a_suspended_agency_alerts: PartySuspended "/issuer", at Agency: |w| {
        suspend(w);
        w.log(Bulletin { expires: w.now.cut_to_hour().plus_seconds(DAY), ..Bulletin::example() }, agency_officer())
    };
    a_suspended_vendor_publishes: PartySuspended "/issuer", at Agency: |w| {
        let suspended = PartyStatus { party: id(VENDOR), ..status(StatusChange::Suspended) };
        w.log(suspended, operator_admin()).unwrap();
        w.log(Release::example(), party(VENDOR, "vendor admin"))
    };
    succeeding_a_live_party: WrongReference "/succeeds", at Agency: |w| succeed(w, AGENCY);
    succeeding_another_kind: WrongReference "/succeeds", at Agency: |w| {
        let withdrawn = PartyStatus { party: id(VENDOR), ..status(StatusChange::Withdrawn) };
        w.log(withdrawn, operator_admin()).unwrap();
        succeed(w, VENDOR)
    };
    succeeding_a_second_time: AlreadySo "/succeeds", at Agency: |w| {
        withdraw(w);
        succeed(w, AGENCY).unwrap();
        let third = Party {
            party: id("lakeland3.example"),
            keys: vec![new_key("third admin", Role::Admin, None)],
            ..successor(AGENCY)
        };
        w.log(third, registrars("lakeland3.example", &["third admin"]))
    };
    a_successor_with_its_predecessors_debts: SealOverdue "", at Request: |w| {
        withdraw(w);
        succeed(w, AGENCY).unwrap();
        let officer = new_key("new officer", Role::Officer, Some("detective-4"));
        let mut change = super::refused_signers::keys(&[officer], &[]);
        change.party = id("lakeland2.example");
        w.pass(limits().new_key_wait_seconds());
        w.log(change, party("lakeland2.example", "new admin").signed_by(&["new admin", "new officer"])).unwrap();
        let both = together(&["lakeland2.example", VENDOR], &["new admin", "vendor admin"]);
        w.agreement = w.log(agreement(), both).unwrap();
        w.pass(40 * DAY);
        w.log(w.ask(), party("lakeland2.example", "new officer"))
    };
    listed_as_another_kind: BadValue "/kind", at Vendor: |w| {
        w.log(listed(AGENCY, PartyKind::Watchdog), operator_admin()).unwrap();
        w.log(agency(), registrars(AGENCY, &AGENCY_KEYS))
    };
    listed_twice: PartyExists "/party", at Vendor: |w| {
        w.log(listed(AGENCY, PartyKind::Agency), operator_admin()).unwrap();
        w.log(Party { name: "Another".parse().unwrap(), ..listed(AGENCY, PartyKind::Agency) }, operator_admin())
    };

    a_video_request_of_a_day: OutsideKind "/window_minutes", at Agreement: |w| {
        let wide = crate::statement::kinds::limits::Limits { window_minutes: 1440, notice_minutes: 0, ..limits() };
        w.log(wide, operator_admin()).unwrap();
        w.pass(15 * DAY);
        let mut request = w.ask();
        (request.kind, request.window_minutes) = (RequestKind::VideoRequest, 1440);
        w.log(request, agency_officer())
    };
    assistance_within_a_garden: OutsideKind "/area_m2", at Agreement: |w| {
        let mut request = w.ask();
        (request.kind, request.area_m2) = (RequestKind::RequestForAssistance, 64_749);
        w.log(request, agency_officer())
    };
    assistance_without_a_word: OutsideKind "/message", at Agreement: |w| {
        let mut request = w.ask();
        (request.kind, request.message) = (RequestKind::RequestForAssistance, None);
        w.log(request, agency_officer())
    };
    assistance_a_third_time: OutsideKind "/investigation", at Agreement: |w| {
        let mut ask = || {
            let mut request = w.ask();
            request.kind = RequestKind::RequestForAssistance;
            w.log(request, agency_officer())
        };
        ask().unwrap();
        ask().unwrap();
        ask()
    };
    a_video_request_for_names: OutsideKind "/asks", at Agreement: |w| {
        let mut request = w.ask();
        request.kind = RequestKind::VideoRequest;
        request.asks = vec![DataKind::Name, DataKind::Video];
        w.log(request, agency_officer())
    };
    closed_by_another: WrongAuthor "/issuer", at Request: |w| w.log(closing(w, ClosingOutcome::Answered), operator_officer());
    closed_twice: RequestClosed "/request", at Request: |w| {
        w.log(closing(w, ClosingOutcome::Answered), agency_officer()).unwrap();
        w.log(closing(w, ClosingOutcome::Withdrawn), agency_officer())
    };
    consent_to_what_is_closed: RequestClosed "/request", at Request: |w| {
        w.log(closing(w, ClosingOutcome::Answered), agency_officer()).unwrap();
        w.log(w.consent(0), resident("resident"))
    };
    collected_for_what_is_withdrawn: RequestClosed "/disclosure", at Disclosure: |w| {
        w.log(closing(w, ClosingOutcome::Withdrawn), agency_officer()).unwrap();
        w.log(w.collect(), agency_officer())
    };

    custody_of_anothers: WrongAuthor "/issuer", at Disclosure: |w| w.log(custody(w), party(VENDOR, "vendor admin"));
    custody_of_a_batch: WrongReference "/about", at Disclosure: |w|
        w.log(CustodyReport { about: w.batch, ..custody(w) }, agency_officer());
    kept_without_end: BadValue "/until", at Disclosure: |w|
        w.log(CustodyReport { until: None, ..custody(w) }, agency_officer());
    viewed_for_a_reason_to_keep: BadValue "/until", at Disclosure: |w|
        w.log(CustodyReport { event: CustodyEvent::Viewed, ..custody(w) }, agency_officer());
    shared_with_nobody: BadValue "/shared_with", at Disclosure: |w|
        w.log(CustodyReport { event: CustodyEvent::ReShared, until: None, basis: None, ..custody(w) }, agency_officer());
    kept_by_another_party: BadValue "/shared_with_party", at Disclosure: |w|
        w.log(CustodyReport { shared_with_party: Some(id(VENDOR)), ..custody(w) }, agency_officer());
    shared_with_a_stranger: UnknownParty "/shared_with_party", at Disclosure: |w| {
        let shared = CustodyReport {
            event: CustodyEvent::ReShared,
            until: None,
            basis: None,
            shared_with: Some(Recipients::FederalAgency),
            shared_with_party: Some(id("ice.example")),
            ..custody(w)
        };
        w.log(shared, agency_officer())
    };

    demanded_in_anothers_name: WrongAuthor "/issuer", at Agency: |w|
        w.log(LegalDemand { agency: Some(id(VENDOR)), ..w.demand() }, agency_officer());
    demanded_by_a_vendor: WrongAuthor "/issuer", at Agency: |w| w.log(w.demand(), party(VENDOR, "vendor admin"));
    demanded_on_paper_by_the_agency: WrongAuthor "/issuer", at Agency: |w| w.log(on_paper(w), agency_officer());
    demanded_upon_a_stranger: UnknownParty "/upon", at Agency: |w|
        w.log(LegalDemand { upon: Some(id("ring.example")), ..w.demand() }, agency_officer());
    demanded_by_a_stranger: UnknownParty "/agency", at Agency: |w|
        w.log(LegalDemand { agency: Some(id("fbi.example")), ..on_paper(w) }, operator_officer());
    an_emergency_without_danger: BadValue "/emergency", at Agency: |w|
        w.log(LegalDemand { process: ProcessKind::Emergency, ..w.demand() }, agency_officer());
    national_security_uncounted: BadValue "/received", at Agency: |w|
        w.log(LegalDemand { received: None, ..w.national(NationalBand::Below250) }, operator_officer());
    national_security_named: BadValue "/agency", at Agency: |w|
        w.log(LegalDemand { agency: Some(id(AGENCY)), ..w.national(NationalBand::Below250) }, operator_officer());
    national_security_told_apart: BadValue "/received", at Agency: |w|
        w.log(LegalDemand { accounts: Some(Band::UpTo5), ..w.national(NationalBand::Below250) }, operator_officer());
    demanded_by_nobody: BadValue "/agency", at Agency: |w|
        w.log(LegalDemand { agency: None, ..on_paper(w) }, operator_officer());
    content_that_is_no_content: BadValue "/records", at Agency: |w|
        w.log(LegalDemand { records: Vec::new(), ..w.demand() }, agency_officer());
    a_period_that_ends_first: BadValue "/until", at Agency: |w|
        w.log(LegalDemand { until: Some(Day::of(w.now.plus_seconds(-10_000 * DAY))), ..w.demand() }, agency_officer());
    grounds_in_disorder: BadValue "/delay", at Agency: |w|
        w.log(LegalDemand { delay: vec![DelayGround::Safety, DelayGround::Flight], ..w.demand() }, agency_officer());
    sealed_beyond_the_limits: OutsideLimits "/sealed/reference/open_by", at Agency: |w| {
        let mut demand = w.demand();
        demand.sealed.as_mut().unwrap().reference.open_by = Day::of(w.now.plus_seconds(91 * DAY));
        w.log(demand, agency_officer())
    };
    answered_for_another: WrongAuthor "/issuer", at Agency: |w| {
        let demand = demanded(w);
        w.log(response(demand), party(VENDOR, "vendor admin"))
    };
    an_agency_answers_nothing: WrongAuthor "/issuer", at Agency: |w|
        w.log(DemandResponse { demand: None, ..response(w.agreement) }, agency_officer());
    answered_by_nothing: BadValue "/records", at Agency: |w| {
        let demand = demanded(w);
        w.log(DemandResponse { records: Vec::new(), ..response(demand) }, operator_officer())
    };
    rejected_with_accounts: BadValue "/accounts", at Agency: |w| {
        let demand = demanded(w);
        w.log(DemandResponse { records: Vec::new(), outcome: Outcome::Rejected, ..response(demand) }, operator_officer())
    };
    answered_to_two: BadValue "/agency", at Agency: |w| {
        let demand = demanded(w);
        w.log(DemandResponse { agency: Some(id(AGENCY)), ..response(demand) }, operator_officer())
    };
    told_by_another: WrongAuthor "/issuer", at Agency: |w| {
        let demand = demanded(w);
        w.log(notice(demand), agency_officer())
    };
    told_of_a_request: WrongReference "/demand", at Request: |w| w.log(notice(w.request), operator_officer());
    told_without_a_word: BadValue "/messages", at Agency: |w| {
        let demand = demanded(w);
        let sent = Notice { state: NoticeState::Sent, until: None, grounds: Vec::new(), ..notice(demand) };
        w.log(sent, operator_officer())
    };
    told_later_without_a_day: BadValue "/until", at Agency: |w| {
        let demand = demanded(w);
        w.log(Notice { until: None, ..notice(demand) }, operator_officer())
    };
    told_later_without_a_ground: BadValue "/grounds", at Agency: |w| {
        let demand = demanded(w);
        w.log(Notice { grounds: Vec::new(), ..notice(demand) }, operator_officer())
    };

    opened_by_a_stranger: WrongAuthor "/issuer", at Request: |w| w.log(case_seal(), party(VENDOR, "vendor admin"));
    opened_twice: AlreadyOpened "/seal", at Request: |w| {
        w.log(case_seal(), agency_officer()).unwrap();
        w.log(Unsealing { opening: attached("another"), ..case_seal() }, agency_officer())
    };
    an_attachment_opened: WrongReference "/seal", at Request: |w|
        w.log(Unsealing { seal: attached("scope 6"), ..case_seal() }, agency_officer());
    nothing_opened: UnknownReference "/seal", at Request: |w|
        w.log(Unsealing { seal: attached("nothing"), ..case_seal() }, agency_officer());
    delayed_by_the_agency: WrongAuthor "/issuer", at Request: |w| w.log(delay_opening(w, 40), agency_officer());
    delayed_without_the_paper: MissingMember "/document", at Request: |w| w.log(delay_opening(w, 40), operator_officer());
    delayed_for_long: OutsideLimits "/until", at Request: |w| {
        let order = DelayOrder { document: Some(attached("order")), ..delay_opening(w, 91) };
        w.log(order, operator_officer())
    };
    delayed_to_an_earlier_day: BadValue "/until", at Request: |w| {
        let order = DelayOrder { document: Some(attached("order")), ..delay_opening(w, 20) };
        w.log(order, operator_officer())
    };
    delayed_to_the_past: BadValue "/until", at Request: |w| {
        let order = DelayOrder { document: Some(attached("order")), ..delay_opening(w, -1) };
        w.log(order, operator_officer())
    };
    delayed_without_a_ground: BadValue "/grounds", at Request: |w| {
        let order = DelayOrder { grounds: Vec::new(), document: Some(attached("order")), ..delay_opening(w, 40) };
        w.log(order, operator_officer())
    };
    a_notice_delayed_by_its_seal: BadValue "/seal", at Request: |w| {
        let order = DelayOrder { delays: Delayed::Notice, document: Some(attached("order")), ..delay_opening(w, 40) };
        w.log(order, operator_officer())
    };
    erased_by_the_agency: WrongAuthor "/issuer", at Request: |w| w.log(erasure("message 6"), agency_admin());
    erased_twice: Erased "/digest", at Request: |w| {
        w.log(erasure("message 6"), operator_admin()).unwrap();
        w.log(Erasure { basis: ErasureBasis::Unlawful, ..erasure("message 6") }, operator_admin())
    };
    an_opened_seal_erased: WrongReference "/digest", at Request: |w| {
        w.log(case_seal(), agency_officer()).unwrap();
        w.log(erasure("case number 6"), operator_admin())
    };
    erased_by_order_of_nobody: MissingMember "/order", at Request: |w|
        w.log(Erasure { basis: ErasureBasis::CourtOrder, ..erasure("message 6") }, operator_admin());
    erased_by_order_of_the_agency: WrongReference "/order", at Request: |w| {
        let order = Some(demanded(w));
        w.log(Erasure { basis: ErasureBasis::CourtOrder, order, ..erasure("message 6") }, operator_admin())
    };
    erased_without_need_of_an_order: BadValue "/order", at Request: |w| {
        let order = Some(demanded(w));
        w.log(Erasure { order, ..erasure("message 6") }, operator_admin())
    };
    a_document_erased_by_the_operator: WrongAuthor "/issuer", at Agency: |w| {
        let document = Some(attached("contract"));
        w.log(crate::statement::kinds::agreement::Agreement { document, ..agreement() }, agency_and_vendor()).unwrap();
        w.log(erasure("contract"), operator_admin())
    };

    an_alert_of_a_vendor: KeyNotLive "/signatures", at Agency: |w|
        w.log(Bulletin::example(), party(VENDOR, "vendor admin"));
    an_alert_of_a_court: WrongAuthor "/issuer", at Agency: |w| {
        *w = w.clone().with_court();
        w.log(Bulletin::example(), clerk())
    };
    an_alert_for_ever: OutsideLimits "/expires", at Agency: |w|
        w.log(Bulletin { expires: w.now.cut_to_hour().plus_seconds(31 * DAY), ..Bulletin::example() }, agency_officer());
    an_alert_of_yesterday: BadValue "/expires", at Agency: |w|
        w.log(Bulletin { expires: w.now.cut_to_hour(), ..Bulletin::example() }, agency_officer());
    a_remark_about_nothing: UnknownReference "/about", at Agency: |w| w.log(Annotation::example(), agency_officer());
    a_remark_of_many_papers: BadValue "/attachments", at Agreement: |w| {
        let attachments = (0..9).map(|n| attached(&format!("paper {n}"))).collect();
        w.log(Annotation { about: w.agreement, attachments, ..Annotation::example() }, agency_officer())
    };
    an_agency_inside: WrongAuthor "/issuer", at Agency: |w| w.log(InsiderAccess::example(), agency_officer());
    insight_into_nothing: BadValue "/records", at Agency: |w|
        w.log(InsiderAccess { records: Vec::new(), ..InsiderAccess::example() }, operator_officer());
    an_agency_publishes: WrongAuthor "/issuer", at Agency: |w| w.log(Release::example(), agency_admin());
    a_release_of_nothing: BadValue "/artifacts", at Limits: |w|
        w.log(Release { artifacts: Vec::new(), ..Release::example() }, operator_admin());
    a_release_of_one_name_twice: BadValue "/artifacts", at Limits: |w| {
        let artifacts = [Release::example().artifacts, Release::example().artifacts].concat();
        w.log(Release { artifacts, ..Release::example() }, operator_admin())
    };
}
