use super::*;
use proptest::prelude::*;

/// 180p, 360p, 720p as the field has them.
const CAMERA: &[u64] = &[150_000, 500_000, 1_500_000];
const SCREEN: &[u64] = &[300_000, 1_000_000, 2_500_000];
const VOICE: &[u64] = &[32_000];
const NO_LIMIT: u64 = u64::MAX;

fn request(class: Class, rungs: &[u64]) -> SlotRequest<'_> {
    SlotRequest { class, priority: 0, rungs, protected: 1, held: Held::Fresh }
}

fn share(budget_bps: u64, requests: &[SlotRequest<'_>]) -> Vec<Grant> {
    let mut grants = vec![None; requests.len()];
    allocate(budget_bps, true, requests, &mut grants);
    grants
}

fn cost(requests: &[SlotRequest<'_>], grants: &[Grant]) -> u64 {
    let rungs = requests.iter().zip(grants);
    rungs.filter_map(|(request, grant)| Some(request.rungs[usize::from((*grant)?)])).sum()
}

/// The requests with what they were granted as what they hold.
fn holding<'a>(requests: &[SlotRequest<'a>], grants: &[Grant]) -> Vec<SlotRequest<'a>> {
    let held = |grant: &Grant| grant.map_or(Held::Nothing, Held::Rung);
    requests
        .iter()
        .zip(grants)
        .map(|(request, grant)| SlotRequest { held: held(grant), ..*request })
        .collect()
}

#[test]
fn the_order_of_importance() {
    let requests = [
        request(Class::Other, CAMERA),
        request(Class::ActiveSpeaker, CAMERA),
        request(Class::Pinned, CAMERA),
        request(Class::Screen, SCREEN),
        request(Class::Audio, VOICE),
    ];
    for (budget, expected) in [
        (0, [None, None, None, None, Some(0)]),
        (400_000, [None, None, None, Some(0), Some(0)]),
        (1_040_000, [None, None, None, Some(1), Some(0)]),
        (1_200_000, [None, None, Some(0), Some(1), Some(0)]),
        (1_490_000, [Some(0), Some(0), Some(0), Some(1), Some(0)]),
        (2_900_000, [Some(0), Some(0), Some(2), Some(1), Some(0)]),
        (3_200_000, [Some(0), Some(0), Some(0), Some(2), Some(0)]),
        (3_700_000, [Some(0), Some(1), Some(1), Some(2), Some(0)]),
        (NO_LIMIT, [Some(2), Some(2), Some(2), Some(2), Some(0)]),
    ] {
        assert_eq!(share(budget, &requests), expected, "{budget} bit/s");
    }
}

#[test]
fn a_screen_below_its_protected_rung_holds_all_cameras_at_their_lowest() {
    let requests = [request(Class::Screen, SCREEN), request(Class::Pinned, CAMERA)];
    assert_eq!(share(990_000, &requests), [Some(0), Some(0)]);
    assert_eq!(share(1_600_000, &requests), [Some(1), Some(1)]);
}

#[test]
fn a_gallery_climbs_together_and_by_priority() {
    let mut requests = vec![request(Class::Other, CAMERA); 4];
    assert_eq!(share(1_000_000, &requests), [Some(1), Some(0), Some(0), Some(0)]);
    assert_eq!(share(2_000_000, &requests), [Some(1); 4]);
    requests[3].priority = 9;
    assert_eq!(share(2_100_000, &requests), [Some(0), Some(0), Some(0), Some(2)]);
}

#[test]
fn more_needs_headroom_and_a_pause_less_is_at_once() {
    let fresh = [request(Class::Other, CAMERA)];
    let low = holding(&fresh, &[Some(0)]);
    assert_eq!(share(500_000, &fresh), [Some(1)], "the first share needs none");
    assert_eq!(share(620_000, &low), [Some(0)]);
    assert_eq!(share(625_000, &low), [Some(1)]);
    let mut grants = [None];
    allocate(10_000_000, false, &low, &mut grants);
    assert_eq!(grants, [Some(0)]);
    let high = holding(&fresh, &[Some(1)]);
    assert_eq!(share(500_000, &high), [Some(1)]);
    assert_eq!(share(499_999, &high), [Some(0)]);
    assert_eq!(share(150_000, &holding(&fresh, &[None])), [None]);
}

fn ladder() -> impl Strategy<Value = Vec<u64>> {
    prop::collection::vec(1_000u64..2_000_000, 1..6).prop_map(|mut rungs| {
        rungs.sort_unstable();
        rungs.dedup();
        rungs
    })
}

type Wish = (u8, u8, Vec<u64>, u8);

fn wishes() -> impl Strategy<Value = Vec<Wish>> {
    prop::collection::vec((0u8..5, 0u8..3, ladder(), 0u8..7), 1..12)
}

fn requests(wishes: &[Wish]) -> Vec<SlotRequest<'_>> {
    let classes = [Class::Audio, Class::Screen, Class::Pinned, Class::ActiveSpeaker, Class::Other];
    let request = |(class, priority, rungs, held): &'_ Wish| {
        (classes[usize::from(*class)], *priority, *held, rungs.len())
    };
    wishes
        .iter()
        .map(|wish| {
            let (class, priority, held, len) = request(wish);
            let held = match held {
                0 => Held::Fresh,
                1 => Held::Nothing,
                held => Held::Rung((held - 2).min(len as u8 - 1)),
            };
            SlotRequest { class, priority, rungs: &wish.2, protected: len as u8 / 2, held }
        })
        .collect()
}

/// The grants of a class, most important first.
fn of_class(class: Class, requests: &[SlotRequest<'_>], grants: &[Grant]) -> Vec<Grant> {
    let mut of: Vec<usize> = (0..requests.len()).filter(|at| requests[*at].class == class).collect();
    of.sort_by_key(|at| (u8::MAX - requests[*at].priority, *at));
    of.into_iter().map(|at| grants[at]).collect()
}

proptest! {
    #[test]
    fn the_budget_is_kept_but_for_audio(wishes in wishes(), budget in 0u64..8_000_000, may_raise: bool) {
        let requests = requests(&wishes);
        let mut grants = vec![None; requests.len()];
        allocate(budget, may_raise, &requests, &mut grants);
        let audio = requests.iter().filter(|request| request.class == Class::Audio);
        let audio: u64 = audio.filter_map(|request| request.rungs.last()).sum();
        prop_assert!(cost(&requests, &grants) <= budget.max(audio));
        for (request, grant) in requests.iter().zip(&grants) {
            prop_assert!(request.class != Class::Audio || *grant == request.top());
            prop_assert!(*grant <= request.top());
            if let Held::Rung(held) = request.held {
                prop_assert!(may_raise || request.class == Class::Audio || *grant <= Some(held));
            }
        }
    }

    #[test]
    fn with_more_budget_what_is_more_important_never_gets_less(wishes in wishes(), budget in 0u64..8_000_000, more in 0u64..3_000_000) {
        let requests = requests(&wishes);
        let (less, more) = (share(budget, &requests), share(budget + more, &requests));
        // Up to the first slot that gets more, all get the same: who is behind it may have paid for it.
        let classes = [Class::Screen, Class::Pinned, Class::ActiveSpeaker];
        let in_order = |grants: &[Grant]| -> Vec<Grant> {
            classes.iter().flat_map(|class| of_class(*class, &requests, grants)).collect()
        };
        prop_assert!(in_order(&less) <= in_order(&more), "{less:?} {more:?}");
    }

    #[test]
    fn equal_slots_only_gain_by_more_budget(count in 1usize..30, rungs in ladder(), budget in 0u64..20_000_000, more in 0u64..5_000_000) {
        let requests = vec![request(Class::Other, &rungs); count];
        let (less, more) = (share(budget, &requests), share(budget + more, &requests));
        prop_assert!(less.iter().zip(&more).all(|(less, more)| less <= more), "{less:?} {more:?}");
        let (least, most) = (less.iter().min().unwrap(), less.iter().max().unwrap());
        prop_assert!(most.map_or(0, |rung| rung + 1) <= least.map_or(0, |rung| rung + 1) + 1, "together: {less:?}");
    }

    #[test]
    fn a_budget_and_bitrates_that_tremble_do_not_make_layers_flap(
        wishes in wishes(),
        budget in 10_000u64..8_000_000,
        noise in prop::collection::vec((0u64..=100, prop::collection::vec(0u64..=100, 12)), 40),
    ) {
        // Thousandths: 950 to 1,050.
        let tremble = |value: u64, noise: u64| value * (950 + noise) / 1_000;
        let ladders: Vec<Vec<Vec<u64>>> = noise.iter().map(|(_, noises)| {
            let of = |(wish, noise): (&Wish, &u64)| wish.2.iter().map(|bps| tremble(*bps, *noise)).collect();
            wishes.iter().zip(noises).map(of).collect()
        }).collect();
        let first = requests(&wishes);
        let mut grants = share(budget, &first);
        // Each round of the same noise, one more slot is settled at the latest, in order of importance. Then nothing changes.
        let rounds = first.len() + 1;
        let mut late_changes = 0;
        for round in 0..=rounds {
            for ((noise, _), ladders) in noise.iter().zip(&ladders) {
                let held = holding(&first, &grants);
                let now: Vec<_> = held.iter().zip(ladders)
                    .map(|(request, rungs)| SlotRequest { rungs: &rungs[..], ..*request }).collect();
                let new = share(tremble(budget, *noise), &now);
                late_changes += usize::from(round == rounds && new != grants);
                grants = new;
            }
        }
        prop_assert_eq!(late_changes, 0);
    }
}
