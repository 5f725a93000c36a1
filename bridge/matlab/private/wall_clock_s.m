function seconds = wall_clock_s()
%WALL_CLOCK_S  Seconds since 1970, UTC. By Java: MATLAB's datetime is slow.
seconds = double(javaMethod('currentTimeMillis', 'java.lang.System')) / 1000;
end
