function depths_um = scan_depths(hSI, slices)
%SCAN_DEPTHS  Depths of a volume's planes in um, in scanning order.
depths_um = get_setting(hSI, 'hStackManager.zs', []);
if isvector(depths_um)
    depths_um = depths_um(:);
end
if size(depths_um, 1) ~= slices
    depths_um = (0:slices - 1)' * get_setting(hSI, 'hStackManager.stackZStepSize', 0);
end
depths_um = double(depths_um(:, 1))';  % of several actuators, the first
end
