//! The dependency descriptor of AV1: AV1 RTP specification 1.0, appendix A.8.
//!
//! Its templates come with key frames and hold until the next ones come; every other packet names one of them.

use super::bits::Bits;
use crate::ext::FrameMarking;

/// The most templates that a structure has: their ids have 6 bits.
pub const MAX_TEMPLATES: usize = 64;
/// The most decode targets that a structure has: their number has 5 bits.
pub const MAX_TARGETS: usize = 32;
/// The greatest temporal and spatial ids of AV1.
const MAX_TEMPORAL_ID: u8 = 7;
const MAX_SPATIAL_ID: u8 = 3;
/// Bytes of the fields that every descriptor has; a longer one has all the others.
const MANDATORY_BYTES: usize = 3;

/// What a frame is to a decode target, table A.2.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Indication {
    /// It does not belong to the target.
    NotPresent,
    /// None of the target's other frames needs it.
    Discardable,
    /// With this frame, all of the target's later frames can be decoded.
    Switch,
    /// The target's frames may need it.
    Required,
}

/// The indications of a frame for all decode targets, two bits each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Indications(u64);

impl Indications {
    fn read(bits: &mut Bits<'_>, targets: u8) -> Option<Self> {
        (0..targets).try_fold(Self(0), |all, target| {
            let indication = u64::from(bits.number(2)?);
            Some(Self(all.0 | (indication << (2 * u32::from(target)))))
        })
    }

    const fn of(self, target: u8) -> Indication {
        match (self.0 >> (2 * target as u32)) & 0b11 {
            0 => Indication::NotPresent,
            1 => Indication::Discardable,
            2 => Indication::Switch,
            _ => Indication::Required,
        }
    }
}

/// What frames of one kind have in common.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Template {
    spatial_id: u8,
    temporal_id: u8,
    indications: Indications,
    /// How many frames back the farthest one is that it refers to; 0 if it refers to none.
    reach: u16,
}

/// The highest layers of a decode target.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct TargetLayers {
    /// The highest spatial id.
    pub spatial_id: u8,
    /// The highest temporal id.
    pub temporal_id: u8,
}

/// The templates of a stream, from a key frame to the next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Structure {
    id_offset: u8,
    targets: u8,
    target_layers: [TargetLayers; MAX_TARGETS],
    template_count: u8,
    templates: [Template; MAX_TEMPLATES],
}

impl Structure {
    /// The decode targets and their layers, at most [`MAX_TARGETS`].
    #[must_use]
    pub fn targets(&self) -> &[TargetLayers] {
        &self.target_layers[..usize::from(self.targets)]
    }

    /// The highest layers of the templates that belong to a target: section A.8.3, decode target layers.
    fn layers_of(&self, target: u8) -> TargetLayers {
        let of_target = |template: &&Template| template.indications.of(target) != Indication::NotPresent;
        self.templates().iter().filter(of_target).fold(TargetLayers::default(), |layers, template| {
            TargetLayers {
                spatial_id: layers.spatial_id.max(template.spatial_id),
                temporal_id: layers.temporal_id.max(template.temporal_id),
            }
        })
    }

    fn templates(&self) -> &[Template] {
        &self.templates[..usize::from(self.template_count)]
    }

    fn template(&self, id: u8) -> Option<&Template> {
        let index = id.wrapping_sub(self.id_offset) % MAX_TEMPLATES as u8;
        self.templates().get(usize::from(index))
    }

    fn read(bits: &mut Bits<'_>) -> Option<Self> {
        let id_offset = bits.number(6)? as u8;
        let targets = bits.number(5)? as u8 + 1;
        let mut structure = Self {
            id_offset,
            targets,
            target_layers: [TargetLayers::default(); MAX_TARGETS],
            template_count: 0,
            templates: [Template::default(); MAX_TEMPLATES],
        };
        let max_spatial_id = structure.read_layers(bits)?;
        let templates = &mut structure.templates[..usize::from(structure.template_count)];
        for template in &mut *templates {
            template.indications = Indications::read(bits, targets)?;
        }
        for template in &mut *templates {
            while bits.bit()? {
                template.reach = template.reach.max(bits.number(4)? as u16 + 1);
            }
        }
        skip_chains(bits, targets, structure.template_count)?;
        let has_resolutions = bits.bit()?;
        if has_resolutions {
            for _ in 0..=max_spatial_id {
                bits.number(32)?;
            }
        }
        for target in 0..targets {
            structure.target_layers[usize::from(target)] = structure.layers_of(target);
        }
        Some(structure)
    }

    /// Reads the layers of the templates and gives the highest spatial id.
    fn read_layers(&mut self, bits: &mut Bits<'_>) -> Option<u8> {
        let (mut spatial_id, mut temporal_id) = (0, 0);
        loop {
            let template = self.templates.get_mut(usize::from(self.template_count))?;
            *template = Template { spatial_id, temporal_id, ..Template::default() };
            self.template_count += 1;
            match bits.number(2)? {
                0 => {}
                1 => temporal_id += 1,
                2 => (spatial_id, temporal_id) = (spatial_id + 1, 0),
                _ => return Some(spatial_id),
            }
            if temporal_id > MAX_TEMPORAL_ID || spatial_id > MAX_SPATIAL_ID {
                return None;
            }
        }
    }
}

/// Chains tell a receiver what it lost, and nobody else anything.
fn skip_chains(bits: &mut Bits<'_>, targets: u8, templates: u8) -> Option<()> {
    let chains = bits.below(u32::from(targets) + 1)?;
    if chains > 0 {
        for _ in 0..targets {
            bits.below(chains)?;
        }
        for _ in 0..u32::from(templates) * chains {
            bits.number(4)?;
        }
    }
    Some(())
}

/// What a packet's descriptor says of its frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Descriptor {
    /// The first packet of a frame.
    pub starts_frame: bool,
    /// The last packet of a frame.
    pub ends_frame: bool,
    /// A running number of frames; each spatial layer has one of its own.
    pub frame_number: u16,
    /// The spatial layer, 0 to 3.
    pub spatial_id: u8,
    /// The temporal layer, 0 to 7.
    pub temporal_id: u8,
    /// How many frames back the farthest one is that it refers to; 0 if it refers to none.
    pub reach: u16,
    /// The packet brings the templates for what follows: its frame is a key frame.
    pub brings_structure: bool,
    /// The decode targets that the sender still feeds, one bit each, where the packet says so.
    pub active_targets: Option<u32>,
    indications: Indications,
    targets: u8,
}

impl Descriptor {
    /// Reads a descriptor by the templates that it brings itself, which are given too, or by `known` ones.
    ///
    /// `None` if it is cut short or breaks a bound, or if its template is not there.
    #[must_use]
    pub fn parse(data: &[u8], known: Option<&Structure>) -> Option<(Self, Option<Structure>)> {
        let mut bits = Bits::new(data);
        let starts_frame = bits.bit()?;
        let ends_frame = bits.bit()?;
        let template_id = bits.number(6)? as u8;
        let frame_number = bits.number(16)? as u16;
        let is_extended = data.len() > MANDATORY_BYTES;
        let [has_structure, has_active, has_indications, has_references, _has_chains] =
            if is_extended { flags(&mut bits)? } else { [false; 5] };
        let new = if has_structure { Some(Structure::read(&mut bits)?) } else { None };
        let structure = new.as_ref().or(known)?;
        let targets = structure.targets;
        let all_targets = u32::MAX >> (u32::BITS - u32::from(targets));
        let active_targets = if has_active {
            Some(bits.number(u32::from(targets))?)
        } else {
            has_structure.then_some(all_targets)
        };
        let template = structure.template(template_id)?;
        let indications =
            if has_indications { Indications::read(&mut bits, targets)? } else { template.indications };
        let reach = if has_references { reach(&mut bits)? } else { template.reach };
        let descriptor = Self {
            starts_frame,
            ends_frame,
            frame_number,
            spatial_id: template.spatial_id,
            temporal_id: template.temporal_id,
            reach,
            brings_structure: has_structure,
            active_targets,
            indications,
            targets,
        };
        Some((descriptor, new))
    }

    /// What the frame is to a decode target; not present to one that there is not.
    #[must_use]
    pub const fn indication(&self, target: u8) -> Indication {
        if target < self.targets { self.indications.of(target) } else { Indication::NotPresent }
    }

    /// Whether the targets of its spatial layer and of more temporal layers can be decoded from this frame on.
    pub(super) fn switches_up(&self, structure: &Structure) -> bool {
        let mut above = (0..).zip(structure.targets()).filter(|(_, layers)| {
            layers.spatial_id == self.spatial_id && layers.temporal_id > self.temporal_id
        });
        let has_any = above.clone().next().is_some();
        has_any && above.all(|(target, _)| self.indication(target) == Indication::Switch)
    }

    /// Whether no target needs the frame for another one.
    fn is_discardable(&self) -> bool {
        let mut of_targets = (0..self.targets).map(|target| self.indication(target));
        of_targets.all(|indication| matches!(indication, Indication::NotPresent | Indication::Discardable))
    }

    /// The same in the words of frame marking; `base_sync` says whether the picture depends on the base layer alone, which takes
    /// more than one packet to know.
    ///
    /// The base layer is independent as a key frame only, in the packet with its templates: a decoder cannot start at other
    /// frames without references.
    #[must_use]
    pub fn marking(&self, base_sync: bool) -> FrameMarking {
        FrameMarking {
            start: self.starts_frame,
            end: self.ends_frame,
            // The layers below of its own picture are the frames right before it.
            independent: self.reach <= u16::from(self.spatial_id)
                && (self.spatial_id > 0 || self.brings_structure),
            discardable: self.is_discardable(),
            base_sync,
            temporal_id: self.temporal_id,
            layer_id: self.spatial_id,
            tl0_pic_idx: 0,
        }
    }
}

fn flags(bits: &mut Bits<'_>) -> Option<[bool; 5]> {
    Some([bits.bit()?, bits.bit()?, bits.bit()?, bits.bit()?, bits.bit()?])
}

/// How far back a frame's own references reach.
fn reach(bits: &mut Bits<'_>) -> Option<u16> {
    let mut reach = 0;
    loop {
        match bits.number(2)? {
            0 => return Some(reach),
            size => reach = reach.max(bits.number(4 * size)? as u16 + 1),
        }
    }
}
