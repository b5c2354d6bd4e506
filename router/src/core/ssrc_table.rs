//! Hands out SSRC blocks and finds the session of an SSRC: an index, not a hash.

use std::collections::VecDeque;

use sluice_wire::ssrc::{MIN_BLOCK_SSRCS, SHARD_SHIFT, SsrcBlock};

use super::ids::SessionKey;

/// Blocks are handed out and found in units of the smallest block.
const GRANULE_SSRCS: u32 = MIN_BLOCK_SSRCS;
const GRANULES: u32 = (1 << SHARD_SHIFT) / GRANULE_SSRCS;
/// Sizes of blocks, as powers of two of the granule: 64 to 65,536 SSRCs.
const SIZE_CLASSES: usize = 11;

/// The SSRC space of one shard.
#[derive(Debug)]
pub(crate) struct SsrcTable {
    shard: u8,
    owners: Vec<Option<SessionKey>>,
    next_granule: u32,
    /// Returned blocks by size, reused oldest first: late packets of an old session should find nobody for as long as possible.
    returned: [VecDeque<u32>; SIZE_CLASSES],
}

impl SsrcTable {
    pub(crate) fn new(shard: u8) -> Self {
        Self { shard, owners: Vec::new(), next_granule: 0, returned: Default::default() }
    }

    /// Takes a block of `ssrcs` (a power of two within the limits of [`SsrcBlock`]) for `owner`. `None` when the space is used up.
    pub(crate) fn take(&mut self, ssrcs: u32, owner: SessionKey) -> Option<SsrcBlock> {
        let granules = ssrcs / GRANULE_SSRCS;
        let class = granules.checked_ilog2()? as usize;
        let fresh = self.next_granule.next_multiple_of(granules);
        let first = if fresh + granules <= GRANULES {
            self.next_granule = fresh + granules;
            fresh
        } else {
            self.returned.get_mut(class)?.pop_front()?
        };
        let block =
            SsrcBlock::new((u32::from(self.shard) << SHARD_SHIFT) | (first * GRANULE_SSRCS), ssrcs).ok()?;
        let (first, end) = (first as usize, (first + granules) as usize);
        if self.owners.len() < end {
            self.owners.resize(end, None);
        }
        self.owners[first..end].fill(Some(owner));
        Some(block)
    }

    pub(crate) fn give_back(&mut self, block: SsrcBlock) {
        let granules = block.count() / GRANULE_SSRCS;
        let first = (block.base() & ((1 << SHARD_SHIFT) - 1)) / GRANULE_SSRCS;
        self.owners[first as usize..(first + granules) as usize].fill(None);
        self.returned[granules.ilog2() as usize].push_back(first);
    }

    pub(crate) const fn is_of_this_shard(&self, ssrc: u32) -> bool {
        (ssrc >> SHARD_SHIFT) as u8 == self.shard
    }

    pub(crate) fn find(&self, ssrc: u32) -> Option<SessionKey> {
        let granule = (ssrc & ((1 << SHARD_SHIFT) - 1)) / GRANULE_SSRCS;
        *self.owners.get(granule as usize)?
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use slotmap::SlotMap;

    fn keys(count: usize) -> Vec<SessionKey> {
        let mut map = SlotMap::<SessionKey, ()>::with_key();
        (0..count).map(|_| map.insert(())).collect()
    }

    #[test]
    fn every_ssrc_of_a_block_finds_its_owner_and_no_other() {
        let mut table = SsrcTable::new(5);
        let keys = keys(6);
        let blocks: Vec<_> = keys
            .iter()
            .zip([64, 256, 64, 1024, 64, 65_536])
            .map(|(key, size)| table.take(size, *key).unwrap())
            .collect();
        for (key, block) in keys.iter().zip(&blocks) {
            assert_eq!(block.shard(), 5);
            for ssrc in [block.base(), block.base() + block.count() - 1] {
                assert_eq!(table.find(ssrc), Some(*key));
            }
        }
        table.give_back(blocks[1]);
        assert_eq!(table.find(blocks[1].base()), None);
        assert_eq!(table.find(blocks[2].base()), Some(keys[2]));
    }

    #[test]
    fn the_space_ends_and_returned_blocks_come_back_oldest_first() {
        let mut table = SsrcTable::new(0);
        let key = keys(1)[0];
        let mut blocks = Vec::new();
        while let Some(block) = table.take(65_536, key) {
            blocks.push(block);
        }
        assert_eq!(blocks.len(), 256);
        table.give_back(blocks[7]);
        table.give_back(blocks[3]);
        assert_eq!(table.take(64, key), None);
        assert_eq!(table.take(65_536, key), Some(blocks[7]));
        assert_eq!(table.take(65_536, key), Some(blocks[3]));
    }

    #[test]
    fn an_ssrc_that_was_never_given_finds_nobody() {
        let table = SsrcTable::new(0);
        assert_eq!(table.find(0), None);
        assert_eq!(table.find(u32::MAX), None);
    }
}
