function depths_um = scan_depths(hSI, slices)
%SCAN_DEPTHS  Depths of a volume's planes in um, in scanning order.
depths_um = get_setting(hSI, 'hStackManager.zs', []);
if isvector(depths_um)
    depths_um = depths_um(:);
end
n = size(depths_um, 1);
if n > slices && mod(n, slices) == 0
    depths_um = depths_um(1:n / slices:end, :);  % one depth for each frame of a slice
elseif n ~= slices
    step_um = get_setting(hSI, 'hStackManager.actualStackZStepSize', ...
                          get_setting(hSI, 'hStackManager.stackZStepSize', 0));
    depths_um = (0:slices - 1)' * step_um;
end
depths_um = double(depths_um(:, 1))';  % of several actuators, the first
end
