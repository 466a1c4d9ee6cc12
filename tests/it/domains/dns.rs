//! A DNS responder on this machine, by UDP and TCP, that answers as it is told.

use std::collections::HashMap;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use simple_dns::rdata::{CNAME, RData, TXT};
use simple_dns::{CLASS, Name, Packet, PacketFlag, RCODE, ResourceRecord};

/// How a name is answered.
#[derive(Clone)]
pub enum Answer {
    Records(Vec<String>),
    /// Another name, whose records are sent along.
    Alias(String, Vec<String>),
    Code(RCODE),
    /// By UDP only that there is more; by TCP these.
    Long(Vec<String>),
    /// As above, and by TCP byte after byte.
    Dribbled(Vec<String>),
    /// As above, and by TCP half of it.
    Half(Vec<String>),
    /// Forged packets that name these records, then the true ones.
    Forged(Vec<String>, Vec<String>),
    After(Duration, Vec<String>),
    Garbage,
    Never,
}

type Zone = Arc<Mutex<HashMap<String, Answer>>>;

/// A responder; its threads end with the test.
pub struct Dns {
    pub address: SocketAddr,
    zone: Zone,
}

impl Dns {
    /// Answers on a free port.
    pub fn start() -> Self {
        let (udp, tcp) = loop {
            let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
            if let Ok(tcp) = TcpListener::bind(udp.local_addr().unwrap()) {
                break (udp, tcp);
            }
        };
        let dns = Self {
            address: udp.local_addr().unwrap(),
            zone: Zone::default(),
        };
        let (zone, zone_too) = (dns.zone.clone(), dns.zone.clone());
        std::thread::spawn(move || by_udp(&udp, &zone));
        std::thread::spawn(move || {
            for stream in tcp.incoming().flatten() {
                let zone = zone_too.clone();
                // Clients that have heard enough hang up.
                std::thread::spawn(move || by_tcp(stream, &zone));
            }
        });
        dns
    }

    /// From now on, a party's name is answered so.
    pub fn set(&self, party: &str, answer: Answer) {
        let name = format!("_whosaw.{party}");
        self.zone.lock().unwrap().insert(name, answer);
    }
}

fn by_udp(socket: &UdpSocket, zone: &Zone) {
    let mut packet = [0; 4096];
    loop {
        let (length, from) = socket.recv_from(&mut packet).unwrap();
        let query = packet[..length].to_vec();
        let (socket, zone) = (socket.try_clone().unwrap(), zone.clone());
        std::thread::spawn(move || {
            for answer in answers(&query, &zone) {
                socket.send_to(&answer, from).unwrap();
            }
        });
    }
}

fn answers(query: &[u8], zone: &Zone) -> Vec<Vec<u8>> {
    let (id, name, answer) = asked(query, zone);
    let true_one = |records: &[String]| message(id, &name, &name, records, |_| {});
    match answer {
        Answer::Records(records) => vec![true_one(&records)],
        Answer::Alias(to, records) => vec![aliased(id, &name, &to, &records)],
        Answer::Code(code) => vec![message(id, &name, &name, &[], |p| *p.rcode_mut() = code)],
        Answer::Long(_) | Answer::Dribbled(_) | Answer::Half(_) => {
            let cut = |p: &mut Packet<'_>| p.set_flags(PacketFlag::TRUNCATION);
            vec![message(id, &name, &name, &[], cut)]
        }
        Answer::Forged(forged, records) => vec![
            message(id.wrapping_add(1), &name, &name, &forged, |_| {}),
            message(id, "_whosaw.other.example", &name, &forged, |_| {}),
            b"\0".to_vec(),
            query.to_vec(),
            true_one(&records),
        ],
        Answer::After(time, records) => {
            std::thread::sleep(time);
            vec![true_one(&records)]
        }
        Answer::Garbage => vec![[&query[..2], &[0xff; 40]].concat(), vec![0xff; 40]],
        Answer::Never => Vec::new(),
    }
}

fn by_tcp(mut stream: TcpStream, zone: &Zone) -> std::io::Result<()> {
    let mut length = [0; 2];
    stream.read_exact(&mut length)?;
    let mut query = vec![0; u16::from_be_bytes(length).into()];
    stream.read_exact(&mut query)?;
    let (id, name, answer) = asked(&query, zone);
    let framed = |records: &[String]| {
        let message = message(id, &name, &name, records, |_| {});
        let length = u16::try_from(message.len()).unwrap();
        [&length.to_be_bytes()[..], &message].concat()
    };
    match answer {
        Answer::Long(records) => stream.write_all(&framed(&records)),
        Answer::Half(records) => {
            let message = framed(&records);
            stream.write_all(&message[..message.len() / 2])
        }
        Answer::Dribbled(records) => {
            for byte in framed(&records) {
                stream.write_all(&[byte])?;
                std::thread::sleep(Duration::from_millis(300));
            }
            Ok(())
        }
        _ => Ok(()),
    }
}

fn asked(query: &[u8], zone: &Zone) -> (u16, String, Answer) {
    let packet = Packet::parse(query).unwrap();
    assert!(packet.has_flags(PacketFlag::RECURSION_DESIRED));
    let name = packet.questions[0].qname.to_string();
    let answer = zone.lock().unwrap().get(&name).cloned();
    let none = Answer::Code(RCODE::NameError);
    (packet.id(), name, answer.unwrap_or(none))
}

fn message(
    id: u16,
    asked: &str,
    owner: &str,
    records: &[String],
    adapt: impl FnOnce(&mut Packet<'_>),
) -> Vec<u8> {
    let query = whosaw::wire::dns::query(id, asked).unwrap();
    let mut packet = Packet::parse(&query).unwrap().into_reply();
    packet.set_id(id);
    packet.answers = records.iter().map(|text| txt(owner, text)).collect();
    adapt(&mut packet);
    packet.build_bytes_vec_compressed().unwrap()
}

fn aliased(id: u16, name: &str, to: &str, records: &[String]) -> Vec<u8> {
    message(id, name, to, records, |packet| {
        let alias = RData::CNAME(CNAME(Name::new(to).unwrap().into_owned()));
        let name = Name::new(name).unwrap().into_owned();
        packet
            .answers
            .insert(0, ResourceRecord::new(name, CLASS::IN, 1, alias));
    })
}

fn txt(name: &str, text: &str) -> ResourceRecord<'static> {
    let txt = RData::TXT(TXT::try_from(text).unwrap());
    ResourceRecord::new(Name::new(name).unwrap(), CLASS::IN, 1, txt).into_owned()
}
