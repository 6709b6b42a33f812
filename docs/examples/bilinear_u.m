function filters = bilinear_u(k, groups, classes)
% BILINEAR_U  Filters with which a ConvTranspose enlarges images bilinearly
%   With groups equal to classes each class has a filter of its own, k x k x 1 x classes; otherwise the
%   filters are a diagonal: k x k x classes x classes, class i from class i alone.

half = floor((k + 1) / 2) ;
if mod(k, 2) == 1
  middle = half ;
else
  middle = half + 0.5 ;
end
line = 1 - abs((1:k) - middle) / half ;
kernel = line' * line ;

if groups == classes
  filters = repmat(kernel, [1 1 1 classes]) ;
else
  filters = zeros(k, k, groups, classes) ;
  for i = 1:classes
    filters(:,:,i,i) = kernel ;
  end
end
filters = single(filters) ;
