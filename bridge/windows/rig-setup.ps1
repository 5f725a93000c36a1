<#
.SYNOPSIS
Installs rtrecon on a Windows computer of a rig, and checks the computer.

.DESCRIPTION
Makes a virtual environment, installs torch and rtrecon into it, allows the ports of
rtrecon in the Windows firewall (only with -Network, and only for the addresses that you
give), and runs `rtrecon check`. What is there already stays; run it as often as you like.

Nothing of it needs an administrator, except -Network.

.PARAMETER Folder
Folder of the virtual environment. Keep the path short: Windows limits paths to 260
characters.

.PARAMETER Torch
"cpu" for a computer without an NVIDIA GPU, else the CUDA version of the driver, such as
"cu128".

.PARAMETER Package
What pip installs: "rtrecon", with extras "rtrecon[camera,nwb]", or a folder or wheel.

.PARAMETER Network
Address of the rig's network from which other computers send, such as 192.168.7.0/24.
Without it the firewall is left as it is, and only this computer can connect.

.PARAMETER Settings
Settings file that is checked at the end. Without it the computer is measured.

.EXAMPLE
powershell -ExecutionPolicy Bypass -File rig-setup.ps1

.EXAMPLE
powershell -ExecutionPolicy Bypass -File rig-setup.ps1 -Torch cu128 -Network 192.168.7.0/24 -Settings my_rig.toml
#>
[CmdletBinding()]
param(
    [string]$Folder = (Join-Path $HOME "rtrecon-env"),
    [string]$Torch = "cpu",
    [string]$Package = "rtrecon",
    [string]$Network = "",
    [string]$Settings = ""
)

$ErrorActionPreference = "Stop"
$FirstPort = 5560
$LastPort = 5563
$RuleName = "rtrecon (ports $FirstPort to $LastPort)"

function Invoke-Checked {
    # Runs a program; ends the script with a sentence if the program fails.
    param([string]$What, [string]$Program, [string[]]$Arguments)
    Write-Host "$What ..."
    & $Program @Arguments
    if ($LASTEXITCODE -ne 0) {
        throw "$What failed (exit code $LASTEXITCODE); the lines above say why"
    }
}

function Find-Python {
    # Returns the launcher or python.exe of Python 3.11 or newer.
    foreach ($candidate in @("py", "python")) {
        if (-not (Get-Command $candidate -ErrorAction SilentlyContinue)) {
            continue
        }
        & $candidate -c "import sys; sys.exit(sys.version_info < (3, 11))"
        if ($LASTEXITCODE -eq 0) {
            return $candidate
        }
    }
    throw "Python 3.11 or newer is missing; install it from python.org, then run this again"
}

function Test-Administrator {
    $identity = [Security.Principal.WindowsIdentity]::GetCurrent()
    $principal = New-Object Security.Principal.WindowsPrincipal($identity)
    return $principal.IsInRole([Security.Principal.WindowsBuiltInRole]::Administrator)
}

function Set-FirewallRule {
    # Allows other computers of one network to reach the daemon's ports.
    param([string]$RemoteAddress)
    if (-not (Test-Administrator)) {
        throw "the firewall can be changed only by an administrator; open PowerShell with 'Run as administrator', or leave -Network out"
    }
    Remove-NetFirewallRule -DisplayName $RuleName -ErrorAction SilentlyContinue
    New-NetFirewallRule -DisplayName $RuleName -Direction Inbound -Action Allow -Protocol TCP -LocalPort "$FirstPort-$LastPort" -RemoteAddress $RemoteAddress -Profile Private | Out-Null
    Write-Host "firewall: $RemoteAddress may reach ports $FirstPort to $LastPort (private networks)"
    Write-Host "firewall: other computers need keys, too: rtrecon keys KEYS microscope"
}

$python = Join-Path $Folder "Scripts\python.exe"
if (Test-Path $python) {
    Write-Host "environment: $Folder exists"
}
else {
    Invoke-Checked "making the environment $Folder" (Find-Python) @("-m", "venv", $Folder)
}
$index = "https://download.pytorch.org/whl/$Torch"
Invoke-Checked "installing torch ($Torch)" $python @("-m", "pip", "install", "torch", "--index-url", $index)
Invoke-Checked "installing $Package" $python @("-m", "pip", "install", $Package)
if ($Network) {
    Set-FirewallRule $Network
}
# Output that other programs read, such as a log file, is UTF-8.
$env:PYTHONUTF8 = "1"
if ($Settings) {
    Invoke-Checked "checking $Settings" $python @("-m", "rtrecon", "check", $Settings)
}
else {
    Invoke-Checked "measuring this computer" $python @("-m", "rtrecon", "check", "--computer")
}
Write-Host "done: start a session with $Folder\Scripts\rtrecon.exe run MY_RIG.toml"
