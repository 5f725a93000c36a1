function options = sender_options(options)
%SENDER_OPTIONS  Add to a program's own options those of every sender.
options.transport = 'tcp';
options.address = '';  % the daemon's usual one
options.keys = '';     % folder from `rtrecon keys`
end
