//! From names to devices.

use anyhow::{Result, bail};
use burn::tensor::Device;
use remedis_ranks::Ranks;

use crate::arguments::{DeviceName, Devices};

/// The devices of a run, of which each is a rank.
pub(super) fn of_run(named: &Devices, ranks: &Ranks) -> Result<Vec<Device>> {
    if ranks.are_several() && named.are_several() {
        bail!(
            "--device names several devices, but this is one of {} processes of an MPI launcher, each of which has one: give \
             --device cuda, and each takes the GPU of its number on its host",
            ranks.count()
        );
    }
    devices(named, ranks.local_rank())
}

/// All devices of this name, the first of them `local_rank` further on where they are GPUs.
pub(crate) fn devices(named: &Devices, local_rank: usize) -> Result<Vec<Device>> {
    match named {
        Devices::These(names) => names.iter().map(|name| device(*name, local_rank)).collect(),
        Devices::AllCuda => all_cuda(),
    }
}

#[cfg(feature = "cuda")]
fn all_cuda() -> Result<Vec<Device>> {
    let found = Device::enumerate(burn::tensor::DeviceType::Cuda).into_vec();
    if found.is_empty() {
        bail!("there is no NVIDIA GPU that this process may use; look at nvidia-smi and CUDA_VISIBLE_DEVICES");
    }
    Ok(found)
}

#[cfg(not(feature = "cuda"))]
fn all_cuda() -> Result<Vec<Device>> {
    missing("cuda").map(|device| vec![device])
}

/// The device of this name, where this program was built with its back end; of several GPUs that of this rank on its host.
#[cfg_attr(
    not(feature = "cuda"),
    expect(unused_variables, reason = "without CUDA there are no GPUs to choose between")
)]
pub(crate) fn device(name: DeviceName, local_rank: usize) -> Result<Device> {
    match name {
        DeviceName::Cpu => Ok(Device::flex()),
        #[cfg(feature = "ndarray")]
        #[expect(deprecated, reason = "kept as the second opinion on flex for as long as Burn carries it")]
        DeviceName::Ndarray => Ok(Device::ndarray()),
        #[cfg(feature = "cuda")]
        DeviceName::Cuda(index) => Ok(Device::cuda(index + local_rank)),
        #[cfg(feature = "wgpu")]
        DeviceName::Wgpu => Ok(Device::wgpu(burn::tensor::DeviceKind::DefaultDevice)),
        #[cfg(not(feature = "ndarray"))]
        DeviceName::Ndarray => missing("ndarray"),
        #[cfg(not(feature = "cuda"))]
        DeviceName::Cuda(_) => missing("cuda"),
        #[cfg(not(feature = "wgpu"))]
        DeviceName::Wgpu => missing("wgpu"),
    }
}

#[cfg(not(all(feature = "ndarray", feature = "cuda", feature = "wgpu")))]
fn missing(feature: &str) -> Result<Device> {
    bail!(
        "this program was built without --device {feature}; build it with `cargo build --release -p remedis-command --features \
         {feature}` (the README says what that needs), or compute with --device cpu"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_devices_in_one_of_several_processes_are_refused_with_the_way_out() {
        let ranks = &remedis_ranks::threads(2).unwrap()[1];
        for named in ["cpu,cpu", "cuda:0,1", "cuda:all"] {
            let error = of_run(&named.parse().unwrap(), ranks).unwrap_err().to_string();
            assert!(error.contains("one of 2 processes") && error.contains("--device cuda,"), "{error}");
        }
        assert_eq!(of_run(&"cpu".parse().unwrap(), ranks).unwrap().len(), 1);
        assert_eq!(of_run(&"cpu,cpu".parse().unwrap(), &Ranks::alone()).unwrap().len(), 2);
    }
}
