//! File descriptors over a unix socket (unix(7), SCM_RIGHTS).

use std::{
    io::{self, IoSlice, IoSliceMut},
    mem::MaybeUninit,
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::net::UnixStream,
    },
};

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};

/// Descriptors in one message; the kernel takes at most 253 (SCM_MAX_FD).
const BATCH: usize = 200;

/// Sends descriptors, each batch with one byte to carry it.
pub(super) fn send(stream: &UnixStream, all: &[OwnedFd]) -> io::Result<()> {
    for batch in all.chunks(BATCH) {
        let borrowed: Vec<BorrowedFd<'_>> = batch.iter().map(AsFd::as_fd).collect();
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(BATCH))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        if !control.push(SendAncillaryMessage::ScmRights(&borrowed)) {
            return Err(io::Error::other("too many descriptors in a message"));
        }
        let byte = [IoSlice::new(&[0])];
        let _ = sendmsg(stream, &byte, &mut control, SendFlags::NOSIGNAL)?;
    }
    Ok(())
}

/// Receives `count` descriptors.
pub(super) fn receive(stream: &UnixStream, count: usize) -> io::Result<Vec<OwnedFd>> {
    let mut all = Vec::new();
    while all.len() < count {
        let before = all.len();
        receive_batch(stream, &mut all)?;
        if all.len() == before {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    if all.len() > count {
        return Err(io::Error::other("more sockets came than were announced"));
    }
    Ok(all)
}

/// One byte carries one batch: reading no more keeps batches apart.
fn receive_batch(stream: &UnixStream, all: &mut Vec<OwnedFd>) -> io::Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(BATCH))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut byte = [0];
    let message = recvmsg(
        stream,
        &mut [IoSliceMut::new(&mut byte)],
        &mut control,
        RecvFlags::CMSG_CLOEXEC,
    )?;
    for ancillary in control.drain() {
        if let RecvAncillaryMessage::ScmRights(batch) = ancillary {
            all.extend(batch);
        }
    }
    if message.flags.contains(ReturnFlags::CTRUNC) {
        return Err(io::Error::other(
            "not all sockets came over: too few file descriptors are allowed (LimitNOFILE, ulimit -n)",
        ));
    }
    Ok(())
}
