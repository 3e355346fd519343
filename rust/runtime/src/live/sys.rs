//! The only place of the live shell that asks the operating system directly: clocks, reads with their times of arrival,
//! cores, process ids.

use std::io;
use std::net::{IpAddr, UdpSocket};

use tokio::net::{TcpSocket, TcpStream};
use xtrader_core::time::Stamp;

use super::arrival::Arrival;

#[cfg(unix)]
fn clock_ns(clock: libc::clockid_t) -> i64 {
    let mut t = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `t` is a valid, writable timespec for the whole call and the kernel writes nothing else. The two clocks
    // asked for exist on every supported system; were the call to fail, `t` would stay zero.
    unsafe { libc::clock_gettime(clock, &raw mut t) };
    // Both are narrower on some systems.
    #[allow(clippy::unnecessary_cast)]
    let (seconds, rest) = (t.tv_sec as i64, t.tv_nsec as i64);
    seconds.saturating_mul(1_000_000_000).saturating_add(rest)
}

/// Both clocks, now: `CLOCK_REALTIME` and `CLOCK_MONOTONIC`.
#[cfg(unix)]
#[must_use]
#[inline]
pub fn now() -> Stamp {
    Stamp { wall: clock_ns(libc::CLOCK_REALTIME), mono: clock_ns(libc::CLOCK_MONOTONIC).unsigned_abs() }
}

/// Both clocks, now.
#[cfg(not(unix))]
#[must_use]
pub fn now() -> Stamp {
    use std::sync::OnceLock;
    use std::time::{Instant, SystemTime, UNIX_EPOCH};
    static ORIGIN: OnceLock<Instant> = OnceLock::new();
    let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let mono = ORIGIN.get_or_init(Instant::now).elapsed();
    Stamp {
        wall: i64::try_from(wall.as_nanos()).unwrap_or(i64::MAX),
        mono: u64::try_from(mono.as_nanos()).unwrap_or(u64::MAX),
    }
}

/// Asks the kernel to note when the bytes of this socket arrive, and the network card where it can: [`receive`] tells.
///
/// # Errors
/// The system has no such thing.
#[cfg(all(target_os = "linux", target_pointer_width = "64"))]
pub fn note_arrivals(socket: &TcpSocket) -> io::Result<()> {
    use std::os::fd::AsRawFd;
    let wanted: libc::c_uint = libc::SOF_TIMESTAMPING_RX_SOFTWARE
        | libc::SOF_TIMESTAMPING_SOFTWARE
        | libc::SOF_TIMESTAMPING_RX_HARDWARE
        | libc::SOF_TIMESTAMPING_RAW_HARDWARE;
    let length = libc::socklen_t::try_from(size_of_val(&wanted)).unwrap_or_default();
    // SAFETY: the descriptor is open as long as `socket` is borrowed, and the kernel reads `length` bytes of `wanted`,
    // which is as long and outlives the call. Nothing is written.
    let done = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_TIMESTAMPING,
            (&raw const wanted).cast(),
            length,
        )
    };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// One read, with the times at which the last of its bytes arrived, as far as they are known.
///
/// # Errors
/// As a read; `WouldBlock` where there is nothing.
#[cfg(all(target_os = "linux", target_pointer_width = "64"))]
pub fn receive(stream: &TcpStream, space: &mut [u8]) -> io::Result<(usize, Arrival)> {
    use std::os::fd::AsRawFd;
    // One message of arrival times takes 64 bytes; nothing else was asked for.
    let mut control = [0u8; 128];
    loop {
        let mut piece = libc::iovec { iov_base: space.as_mut_ptr().cast(), iov_len: space.len() };
        // SAFETY: all bits zero is a valid `msghdr`: null pointers with lengths of 0.
        let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
        message.msg_iov = &raw mut piece;
        message.msg_iovlen = 1;
        message.msg_control = control.as_mut_ptr().cast();
        // Its type differs between C libraries.
        message.msg_controllen = control.len() as _;
        // SAFETY: the descriptor is open as long as `stream` is borrowed. `message` points to one piece, which describes
        // exactly `space`, and to `control` with its true length; all of them are writable and outlive the call, and
        // the kernel writes no further than the lengths it is given. No name is asked for.
        let read = unsafe { libc::recvmsg(stream.as_raw_fd(), &raw mut message, 0) };
        let Ok(read) = usize::try_from(read) else {
            match io::Error::last_os_error() {
                e if e.kind() == io::ErrorKind::Interrupted => continue,
                e => return Err(e),
            }
        };
        // Its type differs between C libraries.
        #[allow(clippy::unnecessary_cast)]
        let told = message.msg_controllen as usize;
        // What was cut off may be half of a time.
        let whole = message.msg_flags & libc::MSG_CTRUNC == 0;
        let arrival = control.get(..told).filter(|_| whole).map(Arrival::read).unwrap_or_default();
        return Ok((read, arrival));
    }
}

/// Asks the kernel to note when the bytes of this socket arrive: nothing that is known here.
///
/// # Errors
/// Always.
#[cfg(not(all(target_os = "linux", target_pointer_width = "64")))]
pub fn note_arrivals(_: &TcpSocket) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// One read. The time of arrival is not known here.
///
/// # Errors
/// As a read; `WouldBlock` where there is nothing.
#[cfg(not(all(target_os = "linux", target_pointer_width = "64")))]
pub fn receive(_: &TcpStream, _: &mut [u8]) -> io::Result<(usize, Arrival)> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Whether this machine has an address, which a connection may then leave from.
///
/// # Errors
/// What the system says to it.
pub fn has_address(ip: IpAddr) -> io::Result<()> {
    UdpSocket::bind((ip, 0)).map(drop)
}

/// Cores that this process may run on.
#[must_use]
pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Pins the calling thread to a core. False where this process has no such core, or the system refuses.
#[must_use]
pub fn pin(core: usize) -> bool {
    // Asked for first: a number beyond the kernel's set of cores would be written outside of it.
    let there = core_affinity::get_core_ids().unwrap_or_default().into_iter().find(|c| c.id == core);
    there.is_some_and(core_affinity::set_for_current)
}

/// Number of this process.
#[must_use]
pub fn pid() -> u32 {
    std::process::id()
}
