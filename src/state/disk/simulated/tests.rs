use super::*;

fn content(disk: &SimulatedDisk, name: &str) -> Option<Vec<u8>> {
    let file = disk.open(name, Open::Existing).ok()?;
    let mut bytes = vec![0; file.length().unwrap() as usize];
    file.read_at(0, &mut bytes).unwrap();
    Some(bytes)
}

fn written(disk: &SimulatedDisk, name: &str, bytes: &[u8]) -> Box<dyn DiskFile> {
    let file = disk.open(name, Open::New).unwrap();
    file.write_at(0, bytes).unwrap();
    file
}

#[test]
fn what_was_synced_stays() {
    for seed in 0..50 {
        let disk = SimulatedDisk::new(seed);
        let file = written(&disk, "a", b"kept");
        file.sync().unwrap();
        disk.sync_folder().unwrap();
        file.write_at(4, &[7; 5000]).unwrap();
        disk.restart();
        assert_eq!(content(&disk, "a").unwrap()[..4], *b"kept");
        assert!(file.length().is_err(), "a handle outlives the power cut");
    }
}

#[test]
fn what_was_not_synced_is_lost_torn_or_there() {
    let (mut lost, mut whole, mut torn, mut holes) = (0, 0, 0, 0);
    for seed in 0..200 {
        let disk = SimulatedDisk::new(seed);
        let file = disk.open("a", Open::New).unwrap();
        disk.sync_folder().unwrap();
        file.write_at(0, &[1; 2000]).unwrap();
        disk.restart();
        let bytes = content(&disk, "a").unwrap();
        match bytes.len() {
            0 => lost += 1,
            2000 if bytes == [1; 2000] => whole += 1,
            _ if bytes.contains(&0) => holes += 1,
            _ => torn += 1,
        }
    }
    assert!([lost, whole, torn, holes].iter().all(|&count| count > 5), "{lost} {whole} {torn} {holes}");
}

#[test]
fn names_are_lost_too() {
    let survived = |seed| {
        let disk = SimulatedDisk::new(seed);
        written(&disk, "a", b"x").sync().unwrap();
        disk.restart();
        content(&disk, "a").is_some()
    };
    let count = (0..100).filter(|&seed| survived(seed)).count();
    assert!((10..90).contains(&count), "{count}");
}

#[test]
fn the_power_goes_at_a_moment() {
    let disk = SimulatedDisk::new(1);
    disk.fail_at(Moment::Sync(1), Fault::PowerCut);
    let file = written(&disk, "a", b"x");
    file.sync().unwrap();
    assert!(disk.sync_folder().is_err());
    assert!(disk.is_off() && disk.list().is_err() && file.length().is_err());
    assert_eq!((disk.operations(), disk.syncs()), (4, 2));
}

#[test]
fn a_failed_sync_is_not_made_good_by_the_next() {
    let survived = |seed| {
        let disk = SimulatedDisk::new(seed);
        let file = written(&disk, "a", &[1; 100]);
        disk.sync_folder().unwrap();
        disk.fail_at(Moment::Sync(1), Fault::Broken);
        assert_eq!(file.sync().unwrap_err().raw_os_error(), Some(libc::EIO));
        file.sync().unwrap();
        assert_eq!(content(&disk, "a").unwrap(), [1; 100]);
        file.forget().unwrap();
        let seen = content(&disk, "a").unwrap();
        disk.restart();
        assert_eq!(content(&disk, "a").unwrap(), seen);
        seen == [1; 100]
    };
    let count = (0..100).filter(|&seed| survived(seed)).count();
    assert!((10..90).contains(&count), "{count}");
}

#[test]
fn room_runs_out_and_comes_back() {
    let disk = SimulatedDisk::new(1);
    disk.set_room(Some(10));
    let file = written(&disk, "a", b"12345678");
    assert_eq!(file.write_at(8, b"9012").unwrap_err().kind(), io::ErrorKind::StorageFull);
    file.set_length(8).unwrap();
    disk.set_room(None);
    file.write_at(8, b"9012").unwrap();
    assert_eq!(content(&disk, "a").unwrap(), b"123456789012");
}

#[test]
fn one_holder_at_a_time() {
    let disk = SimulatedDisk::new(1);
    let held = disk.lock("lock").unwrap().unwrap();
    assert!(disk.lock("lock").unwrap().is_none());
    disk.restart();
    let next = disk.lock("lock").unwrap();
    drop(held);
    assert!(next.is_some() && disk.lock("lock").unwrap().is_none());
}
