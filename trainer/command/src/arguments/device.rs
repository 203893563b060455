//! What may stand after `--device`.

use std::str::FromStr;

/// One device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DeviceName {
    /// Burn's flex backend with this project's own kernels.
    Cpu,
    /// Burn's older ndarray backend with the same kernels, for comparison.
    Ndarray,
    /// An NVIDIA GPU by its number.
    Cuda(usize),
    /// The GPU that the system likes best.
    Wgpu,
}

/// The devices that share every batch, each a rank.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Devices {
    /// These, of one kind.
    These(Vec<DeviceName>),
    /// Every NVIDIA GPU of this host.
    AllCuda,
}

impl Devices {
    /// Whether there may be more than one.
    pub(crate) fn are_several(&self) -> bool {
        !matches!(self, Self::These(devices) if devices.len() == 1)
    }

    /// The device that counts where one is asked for.
    fn first(&self) -> DeviceName {
        match self {
            Self::These(devices) => devices[0],
            Self::AllCuda => DeviceName::Cuda(0),
        }
    }

    /// How many share the processor and the memory of the host itself; 0 where GPUs compute.
    pub(crate) fn n_on_host(&self) -> u64 {
        match (self.first(), self) {
            (DeviceName::Cpu | DeviceName::Ndarray, Self::These(devices)) => devices.len() as u64,
            _ => 0,
        }
    }
}

const EXPECTED: &str = "expected cpu, ndarray, cuda, cuda:N or wgpu; for several GPUs cuda:0,1 or cuda:all; for several ranks on a \
                        CPU cpu,cpu";

impl FromStr for DeviceName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let number = |text: &str| text.strip_prefix("cuda:")?.parse().ok();
        match text {
            "cpu" => Ok(Self::Cpu),
            "ndarray" => Ok(Self::Ndarray),
            "cuda" => Ok(Self::Cuda(0)),
            "wgpu" => Ok(Self::Wgpu),
            _ => number(text).map(Self::Cuda).ok_or_else(|| EXPECTED.to_owned()),
        }
    }
}

impl FromStr for Devices {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "cuda:all" {
            return Ok(Self::AllCuda);
        }
        let mut devices: Vec<DeviceName> = Vec::new();
        for part in text.split(',') {
            // `cuda:0,1`: the kind is said once.
            let device = match (devices.last(), part.parse()) {
                (Some(DeviceName::Cuda(_)), Ok(number)) => DeviceName::Cuda(number),
                _ => part.parse()?,
            };
            let is_other_kind = |other: &DeviceName| std::mem::discriminant(other) != std::mem::discriminant(&device);
            if devices.iter().any(is_other_kind) {
                return Err(format!(
                    "{text} mixes kinds of devices, whose sums would wait for the slowest: name one kind"
                ));
            }
            if matches!(device, DeviceName::Cuda(_) | DeviceName::Wgpu) && devices.contains(&device) {
                return Err(format!("{text} names one GPU twice, where every rank needs its own"));
            }
            devices.push(device);
        }
        Ok(Self::These(devices))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use DeviceName::{Cpu, Cuda};

    fn these(text: &str) -> Vec<DeviceName> {
        match text.parse() {
            Ok(Devices::These(devices)) => devices,
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn a_device_is_named_with_its_number() {
        assert_eq!(these("cuda:3"), [Cuda(3)]);
        assert_eq!(these("cuda"), [Cuda(0)]);
        for wrong in ["gpu", "cuda:", "cuda:-1", "cuda3", "CPU", "", "cpu,", "cpu,1", "cuda:0,", "cuda:all,1", "0,1"] {
            let error = wrong.parse::<Devices>().unwrap_err();
            assert!(error.contains("cuda:N"), "{wrong}: {error}");
        }
    }

    #[test]
    fn several_devices_are_of_one_kind_and_a_gpu_comes_once() {
        assert_eq!(these("cuda:0,2,1"), [Cuda(0), Cuda(2), Cuda(1)]);
        assert_eq!(these("cuda:0,cuda:1"), [Cuda(0), Cuda(1)]);
        assert_eq!(these("cpu,cpu,cpu"), [Cpu; 3]);
        assert_eq!("cuda:all".parse(), Ok(Devices::AllCuda));
        for (wrong, words) in [("cuda:0,cpu", "mixes"), ("cuda:1,0,1", "twice"), ("wgpu,wgpu", "twice")] {
            let error = wrong.parse::<Devices>().unwrap_err();
            assert!(error.contains(words), "{wrong}: {error}");
        }
    }

    #[test]
    fn only_ranks_on_the_processor_share_its_memory() {
        let n = |text: &str| text.parse::<Devices>().unwrap().n_on_host();
        assert_eq!(["cpu", "cpu,cpu", "cuda:0,1", "cuda:all", "wgpu"].map(n), [1, 2, 0, 0, 0]);
    }
}
