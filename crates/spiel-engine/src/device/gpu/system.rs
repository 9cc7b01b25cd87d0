//! What the system lacks when it shows no GPU, and how to mend it.

#[cfg(any(target_os = "linux", test))]
use super::adapters::TAKES_SOFTWARE;

/// What was found on the system.
#[cfg_attr(not(target_os = "linux"), expect(dead_code, reason = "only Linux is looked at"))]
#[derive(Default)]
struct System {
    /// Whether the Vulkan loader is installed.
    loader: bool,
    /// Manifests of Vulkan drivers, by file name.
    drivers: Vec<String>,
    /// Whether the kernel has an NVIDIA driver.
    nvidia: bool,
    /// Whether this is a container.
    container: bool,
    /// `NVIDIA_DRIVER_CAPABILITIES`.
    capabilities: Option<String>,
}

/// Why no hardware GPU can be there, by what the kernel shows: cheap, while drivers are slow to load and may print.
pub(super) fn sees_no_hardware() -> Option<String> {
    #[cfg(target_os = "linux")]
    return (!linux::has_device_file()).then(|| linux::look().no_hardware());
    #[cfg(not(target_os = "linux"))]
    None
}

/// What to do so that a GPU is found.
#[cfg(target_os = "linux")]
pub(super) fn remedy() -> String {
    linux::look().remedy()
}

/// What to do so that a GPU is found.
#[cfg(not(target_os = "linux"))]
pub(super) fn remedy() -> String {
    "install the driver of the GPU's maker".to_owned()
}

/// What the manifests of drivers that compute on the CPU are called by.
#[cfg(any(target_os = "linux", test))]
const SOFTWARE_DRIVERS: [&str; 2] = ["lvp_icd", "swiftshader"];

#[cfg(any(target_os = "linux", test))]
impl System {
    /// That the kernel shows no GPU, and what there is in its place.
    fn no_hardware(&self) -> String {
        let is_software = |file: &&String| SOFTWARE_DRIVERS.iter().any(|name| file.contains(name));
        match self.drivers.iter().find(is_software).filter(|_| self.loader) {
            None => "this machine shows no GPU".to_owned(),
            Some(driver) => format!(
                "this machine shows no hardware GPU, only the software adapter of {driver}, {TAKES_SOFTWARE}"
            ),
        }
    }

    fn remedy(&self) -> String {
        if !self.loader {
            return "the Vulkan loader libvulkan.so.1 is missing: install it (Debian and Ubuntu: \
                    apt-get install libvulkan1; Fedora: dnf install vulkan-loader)"
                .to_owned();
        }
        let capable = |list: &String| {
            list.split(',').any(|name| matches!(name.trim(), "graphics" | "display" | "all"))
        };
        if self.nvidia && self.container && !self.capabilities.as_ref().is_some_and(capable) {
            let now = self.capabilities.as_deref().unwrap_or("not set");
            return format!(
                "the container lacks the graphics capability of its NVIDIA GPU, which Vulkan needs: \
                 start it with --gpus all -e NVIDIA_DRIVER_CAPABILITIES=compute,utility,graphics \
                 (now {now})"
            );
        }
        if self.nvidia && !self.drivers.iter().any(|file| file.contains("nvidia")) {
            return "NVIDIA's Vulkan driver is missing (no nvidia_icd.json): install the user-space \
                    part of the same version as the kernel's driver (Debian: nvidia-vulkan-icd; \
                    Ubuntu: libnvidia-gl-VERSION)"
                .to_owned();
        }
        if self.drivers.is_empty() {
            return "no Vulkan driver is installed: install that of the GPU's maker (AMD and Intel, \
                    Debian and Ubuntu: apt-get install mesa-vulkan-drivers)"
                .to_owned();
        }
        format!(
            "no hardware answers to the installed Vulkan drivers ({}): without a GPU this is as it \
             should be; else check that its driver is loaded and that /dev/dri/renderD* may be opened",
            self.drivers.join(", ")
        )
    }
}

#[cfg(target_os = "linux")]
mod linux {
    use super::System;
    use std::path::Path;

    const LOADER: &str = "libvulkan.so.1";
    const LIBRARY_FOLDERS: [&str; 4] = ["/usr/local/lib", "/usr/lib64", "/usr/lib", "/lib"];
    const MANIFEST_FOLDERS: [&str; 3] =
        ["/etc/vulkan/icd.d", "/usr/local/share/vulkan/icd.d", "/usr/share/vulkan/icd.d"];
    const DEVICE_FILES: [&str; 4] = ["/dev/nvidiactl", "/dev/dxg", "/dev/nvgpu", "/dev/nvhost-gpu"];
    const CONTAINER_MARKS: [&str; 2] = ["/.dockerenv", "/run/.containerenv"];

    /// Device files of GPUs: those of the kernel's graphics, NVIDIA's, Windows' for its guests, Tegra's.
    pub(super) fn has_device_file() -> bool {
        let nodes = Path::new("/dev/dri").read_dir().into_iter().flatten().flatten();
        let mut names = nodes.map(|node| node.file_name());
        names.any(|name| name.to_string_lossy().starts_with("renderD"))
            || DEVICE_FILES.iter().any(|file| Path::new(file).exists())
    }

    pub(super) fn look() -> System {
        let exists = |path: &&str| Path::new(path).exists();
        System {
            loader: has_loader(),
            drivers: drivers(),
            nvidia: exists(&"/proc/driver/nvidia/version"),
            container: CONTAINER_MARKS.iter().any(exists)
                || std::env::var_os("KUBERNETES_SERVICE_HOST").is_some(),
            capabilities: std::env::var("NVIDIA_DRIVER_CAPABILITIES").ok(),
        }
    }

    /// Whether the dynamic linker knows the loader, by its cache or by its search path.
    fn has_loader() -> bool {
        let cache = std::fs::read("/etc/ld.so.cache").unwrap_or_default();
        if cache.windows(LOADER.len()).any(|name| name == LOADER.as_bytes()) {
            return true;
        }
        let path = std::env::var("LD_LIBRARY_PATH").unwrap_or_default();
        let folders = path.split(':').chain(LIBRARY_FOLDERS).filter(|folder| !folder.is_empty());
        folders.into_iter().any(|folder| Path::new(folder).join(LOADER).exists())
    }

    /// The manifests that the loader reads, by the variables or the folders that name them.
    fn drivers() -> Vec<String> {
        let named = ["VK_DRIVER_FILES", "VK_ICD_FILENAMES"].into_iter().find_map(|name| {
            let files = std::env::var(name).ok().filter(|files| !files.is_empty())?;
            Some(files.split(':').map(str::to_owned).collect())
        });
        named.unwrap_or_else(|| {
            let folders =
                MANIFEST_FOLDERS.iter().filter_map(|folder| Path::new(folder).read_dir().ok());
            let files = folders.flatten().flatten();
            let mut names: Vec<String> =
                files.map(|file| file.file_name().to_string_lossy().into_owned()).collect();
            names.sort();
            names
        })
    }
}

#[cfg(test)]
mod tests {
    use super::System;

    fn server() -> System {
        System { loader: true, nvidia: true, ..System::default() }
    }

    #[test]
    fn each_lack_has_its_remedy() {
        let none = System::default();
        let bare = System { loader: true, ..System::default() };
        let drivers = vec!["radeon_icd.x86_64.json".to_owned()];
        let idle = System { drivers, ..System { loader: true, ..System::default() } };
        for (system, expected) in [
            (none, "libvulkan.so.1 is missing"),
            (bare, "no Vulkan driver is installed"),
            (server(), "NVIDIA's Vulkan driver is missing"),
            (idle, "no hardware answers to the installed Vulkan drivers (radeon_icd.x86_64.json)"),
        ] {
            let text = system.remedy();
            assert!(text.contains(expected), "{text}");
        }
    }

    #[test]
    fn a_software_driver_is_named_where_there_is_no_hardware() {
        let drivers = vec!["radeon_icd.json".to_owned(), "lvp_icd.x86_64.json".to_owned()];
        let software = System { loader: true, drivers, ..System::default() };
        let text = software.no_hardware();
        assert!(text.contains("software adapter of lvp_icd.x86_64.json"), "{text}");
        assert!(text.contains("--device gpu --allow-software"), "{text}");
        let without_loader = System { loader: false, ..software };
        assert_eq!(without_loader.no_hardware(), "this machine shows no GPU");
    }

    #[test]
    fn a_container_without_the_graphics_capability_is_told_so() {
        let with = |capabilities: Option<&str>| {
            let capabilities = capabilities.map(str::to_owned);
            System { container: true, capabilities, ..server() }.remedy()
        };
        assert!(
            with(None)
                .contains("NVIDIA_DRIVER_CAPABILITIES=compute,utility,graphics (now not set)")
        );
        assert!(with(Some("compute,utility")).contains("(now compute,utility)"));
        assert!(with(Some("all")).contains("no nvidia_icd.json"));
        assert!(with(Some("compute, graphics")).contains("no nvidia_icd.json"));
    }
}
