//! Who may do what: the tables of section 6.3.

use sluice_wire::signaling::{ChatPolicy, ChatTo, ErrorCode, MeetingKind, Role};

/// Why a command was not obeyed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) code: ErrorCode,
    pub(super) message: &'static str,
}

/// Whether a command was obeyed.
pub(super) type Outcome = Result<(), Refusal>;

pub(super) const fn refusal(code: ErrorCode, message: &'static str) -> Refusal {
    Refusal { code, message }
}

/// The refusal of what one's role does not allow.
pub(super) const fn not_allowed(message: &'static str) -> Refusal {
    refusal(ErrorCode::NotAllowed, message)
}

/// Refuses unless `allowed`.
pub(super) fn only_if(allowed: bool, message: &'static str) -> Outcome {
    if allowed { Ok(()) } else { Err(not_allowed(message)) }
}

/// Whether `actor` may act against the will of `target`.
pub(super) fn outranks(actor: Role, target: Role) -> bool {
    match actor {
        Role::Host => target != Role::Host,
        Role::CoHost => !target.is_host(),
        Role::Participant | Role::Panelist | Role::Attendee => false,
    }
}

/// Whether `actor` may make a `before` an `after`. Being the host is handed over by [`Role::Host`] only.
pub(super) fn may_assign(actor: Role, before: Role, after: Role) -> bool {
    match actor {
        Role::Host => before != Role::Host,
        Role::CoHost => !before.is_host() && !after.is_host(),
        Role::Participant | Role::Panelist | Role::Attendee => false,
    }
}

/// Whether a meeting of this kind has the role.
pub(super) fn has_role(kind: MeetingKind, role: Role) -> bool {
    match role {
        Role::Host | Role::CoHost => true,
        Role::Participant => kind == MeetingKind::Meeting,
        Role::Panelist | Role::Attendee => kind == MeetingKind::Webinar,
    }
}

/// The role that somebody comes in with who was vouched for as `granted`. Who is to be host is co-host until it is inside.
pub(super) fn role_on_entry(kind: MeetingKind, granted: Option<Role>) -> Role {
    match (kind, granted) {
        (_, Some(Role::Host | Role::CoHost)) => Role::CoHost,
        (MeetingKind::Meeting, _) => Role::Participant,
        (MeetingKind::Webinar, Some(Role::Panelist | Role::Participant)) => Role::Panelist,
        (MeetingKind::Webinar, Some(Role::Attendee) | None) => Role::Attendee,
    }
}

/// Whether the role sees everybody; if not, it sees the stage and itself.
pub(super) fn sees_everybody(kind: MeetingKind, role: Role) -> bool {
    kind == MeetingKind::Meeting || role.is_on_stage()
}

/// Whether the role may write so.
pub(super) fn may_write(policy: ChatPolicy, role: Role, to: ChatTo) -> bool {
    match policy {
        ChatPolicy::Off => false,
        ChatPolicy::HostsOnly => role.is_host() || to == ChatTo::Hosts,
        ChatPolicy::Everyone => true,
    }
}
